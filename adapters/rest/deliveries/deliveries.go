// Package deliveries serves a service's deliveries on its internal listener, behind feed.Protected; the gateway asks for them
// (adapters/opslink). No route of the gateway leads to it.
package deliveries

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Path is where the list is served; below it, /{id}/replay takes a POST.
const Path = "/internal/v1/deliveries"

// Page is the answer, version 1 (the version is in the path; fields may be added).
type Page struct {
	Total int    `json:"total"`
	Items []Told `json:"items"`
}

// Told is delivery.Told.
type Told struct {
	ID          id.ID     `json:"id"`
	Kind        string    `json:"kind"`
	Line        string    `json:"line,omitempty"` // masked
	State       string    `json:"state"`
	Sequence    int64     `json:"sequence,omitempty"`
	Attempts    int       `json:"attempts"`
	FinalAt     time.Time `json:"finalAt"`
	NextAt      time.Time `json:"nextAt,omitzero"`
	DeliveredAt time.Time `json:"deliveredAt,omitzero"`
	ReplayedAt  time.Time `json:"replayedAt,omitzero"`
	Last        []Made    `json:"last"`
}

// Made is delivery.Made.
type Made struct {
	At    time.Time `json:"at"`
	State string    `json:"state"`
	Note  string    `json:"note,omitempty"`
}

// Trouble is the answer when it is none: a public code.
type Trouble struct {
	Code fault.Code `json:"code"`
}

// Handler answers GET Path?state=&since=&page=&size= and POST Path/{id}/replay.
func Handler(of ports.Deliveries, now ports.Clock, report ports.Report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) {
		f, err := filter(r)
		if err != nil {
			answer(w, http.StatusBadRequest, Trouble{fault.ValidationError})
			return
		}
		page, total, err := of.List(r.Context(), f)
		if err != nil {
			refuse(w, r, err, report)
			return
		}
		out := Page{Total: total, Items: make([]Told, len(page))}
		for i, t := range page {
			out.Items[i] = told(t)
		}
		answer(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST "+Path+"/{id}/replay", func(w http.ResponseWriter, r *http.Request) {
		event, err := id.Parse(r.PathValue("id"))
		if err != nil {
			answer(w, http.StatusBadRequest, Trouble{fault.ValidationError})
			return
		}
		if err := of.Replay(r.Context(), event, now()); err != nil {
			refuse(w, r, err, report)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func filter(r *http.Request) (f delivery.Filter, err error) {
	q := r.URL.Query()
	for name := range q { // a misspelled filter must not give everything
		if !slices.Contains([]string{"state", "since", "page", "size"}, name) {
			return f, fault.InvalidField(name, "알 수 없는 항목입니다")
		}
	}
	f.State = delivery.State(q.Get("state"))
	if since := q.Get("since"); since != "" {
		if f.Since, err = time.Parse(time.RFC3339Nano, since); err != nil {
			return f, err
		}
	}
	if f.Page, err = strconv.Atoi(q.Get("page")); err != nil {
		return f, err
	}
	if f.Size, err = strconv.Atoi(q.Get("size")); err != nil {
		return f, err
	}
	return f, f.Check()
}

func told(t delivery.Told) Told {
	out := Told{
		ID: t.ID, Kind: string(t.Kind), Line: t.Line, State: string(t.State), Sequence: t.Sequence, Attempts: t.Attempts, FinalAt: t.FinalAt,
		NextAt: t.NextAt, DeliveredAt: t.DeliveredAt, ReplayedAt: t.ReplayedAt, Last: make([]Made, len(t.Last)),
	}
	for i, m := range t.Last {
		out.Last[i] = Made{At: m.At, State: string(m.State), Note: m.Note}
	}
	return out
}

// refuse answers the two refusals that are the asker's business with their status; everything else is trouble of ours.
func refuse(w http.ResponseWriter, r *http.Request, err error, report ports.Report) {
	known := map[fault.Code]int{fault.ResourceNotFound: http.StatusNotFound, fault.StateConflict: http.StatusConflict}
	code := fault.From(err).Code()
	if status, ok := known[code]; ok {
		answer(w, status, Trouble{code})
		return
	}
	report(r.Context(), err)
	answer(w, http.StatusServiceUnavailable, Trouble{fault.ServiceUnavailable})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // nobody is left to tell
}
