// Package status serves what an instance knows of itself on its internal listener, behind feed.Protected; the gateway asks for it
// (adapters/opslink). No route of the gateway leads to it.
package status

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"phonebill/core/operations"
	"phonebill/core/quota"
)

// Path is where the status is served.
const Path = "/internal/v1/operations/status"

// Told is the answer, version 1 (the version is in the path; fields may be added). What is per lane is by the lane's name.
type Told struct {
	Service  string    `json:"service"`
	Breakers []Breaker `json:"breakers"`
	Quota    *Quota    `json:"quota,omitempty"`
	Caches   []Cache   `json:"caches"`
}

// Breaker is operations.Breaker.
type Breaker struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Failures int       `json:"failures"`
	Since    time.Time `json:"since"`
	RetryAt  time.Time `json:"retryAt,omitzero"`
}

// Quota is operations.Quota. FullBudget is the window's; both budgets are the largest int64 when there is no limit.
type Quota struct {
	Budget        int                `json:"budget"`
	FullBudget    int                `json:"fullBudget"`
	WindowSeconds float64            `json:"windowSeconds"`
	Reserved      map[string]int     `json:"reserved"`
	SqueezedUntil time.Time          `json:"squeezedUntil,omitzero"`
	Ledger        bool               `json:"ledger"`
	Spent         map[string]int     `json:"spent"`
	Waiting       map[string]int     `json:"waiting"`
	ETASeconds    map[string]float64 `json:"etaSeconds"`
}

// Cache is operations.Cache.
type Cache struct {
	Kind      string `json:"kind"`
	Hits      int64  `json:"hits"`
	Stale     int64  `json:"stale"`
	Misses    int64  `json:"misses"`
	Coalesced int64  `json:"coalesced"`
}

// Handler answers GET Path.
func Handler(know func(context.Context) operations.Status) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(told(know(r.Context())))
	})
}

func told(s operations.Status) Told {
	out := Told{Service: s.Service, Breakers: make([]Breaker, len(s.Breakers)), Caches: make([]Cache, len(s.Caches))}
	for i, b := range s.Breakers {
		out.Breakers[i] = Breaker{Name: b.Name, State: string(b.State), Failures: b.Failures, Since: b.Since, RetryAt: b.RetryAt}
	}
	for i, c := range s.Caches {
		out.Caches[i] = Cache{
			Kind: string(c.Kind), Hits: c.Counts.Hits, Stale: c.Counts.Stale, Misses: c.Counts.Misses, Coalesced: c.Counts.Coalesced,
		}
	}
	if s.Quota != nil {
		out.Quota = budget(*s.Quota)
	}
	return out
}

func budget(q operations.Quota) *Quota {
	seconds := map[string]float64{}
	for _, lane := range quota.Lanes() {
		seconds[lane.String()] = q.ETA[lane].Seconds()
	}
	return &Quota{
		Budget: q.Budget, FullBudget: q.Window.Budget, WindowSeconds: q.Window.Per.Seconds(), Reserved: byName(q.Window.Reserve),
		SqueezedUntil: q.Squeezed, Ledger: q.Ledger, Spent: byName(q.Spent), Waiting: byName(q.Waiting), ETASeconds: seconds,
	}
}

func byName(shares quota.Shares) map[string]int {
	named := map[string]int{}
	for _, lane := range quota.Lanes() {
		named[lane.String()] = shares[lane]
	}
	return named
}
