package opslink

import (
	"time"

	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/quota"
)

// told is the answer on the wire, version 1 (adapters/rest/status).
type told struct {
	Service  string `json:"service"`
	Breakers []struct {
		Name     string    `json:"name"`
		State    string    `json:"state"`
		Failures int       `json:"failures"`
		Since    time.Time `json:"since"`
		RetryAt  time.Time `json:"retryAt"`
	} `json:"breakers"`
	Quota *struct {
		Budget        int                `json:"budget"`
		FullBudget    int                `json:"fullBudget"`
		WindowSeconds float64            `json:"windowSeconds"`
		Reserved      map[string]int     `json:"reserved"`
		SqueezedUntil time.Time          `json:"squeezedUntil"`
		Ledger        bool               `json:"ledger"`
		Spent         map[string]int     `json:"spent"`
		Waiting       map[string]int     `json:"waiting"`
		ETASeconds    map[string]float64 `json:"etaSeconds"`
	} `json:"quota"`
	Caches []struct {
		Kind      string `json:"kind"`
		Hits      int64  `json:"hits"`
		Stale     int64  `json:"stale"`
		Misses    int64  `json:"misses"`
		Coalesced int64  `json:"coalesced"`
	} `json:"caches"`
}

func (t told) status() operations.Status {
	s := operations.Status{Service: t.Service}
	for _, b := range t.Breakers {
		s.Breakers = append(s.Breakers, operations.Breaker{
			Name: b.Name, State: operations.BreakerState(b.State), Failures: b.Failures, Since: b.Since, RetryAt: b.RetryAt,
		})
	}
	for _, c := range t.Caches {
		s.Caches = append(s.Caches, operations.Cache{Kind: freshness.Kind(c.Kind), Counts: freshness.Counts{
			Hits: c.Hits, Stale: c.Stale, Misses: c.Misses, Coalesced: c.Coalesced,
		}})
	}
	if q := t.Quota; q != nil {
		s.Quota = &operations.Quota{
			Window: quota.Window{Budget: q.FullBudget, Per: seconds(q.WindowSeconds), Reserve: shares(q.Reserved)},
			Budget: q.Budget, Squeezed: q.SqueezedUntil, Ledger: q.Ledger, Spent: shares(q.Spent), Waiting: shares(q.Waiting),
		}
		for _, lane := range quota.Lanes() {
			s.Quota.ETA[lane] = seconds(q.ETASeconds[lane.String()])
		}
	}
	return s
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// shares reads what is per lane; a lane that this release does not know is left out.
func shares(named map[string]int) (s quota.Shares) {
	for _, lane := range quota.Lanes() {
		s[lane] = named[lane.String()]
	}
	return s
}
