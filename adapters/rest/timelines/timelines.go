// Package timelines serves the stories of a service's requests on its internal listener, behind feed.Protected; the gateway asks for them
// (adapters/opslink). No route of the gateway leads to it.
package timelines

import (
	"encoding/json"
	"net/http"
	"time"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// Path is what a story is served below: Path/{id}.
const Path = "/internal/v1/timelines"

// Story is timeline.Story, version 1 (the version is in the path; fields may be added).
type Story struct {
	Kind    timeline.Kind  `json:"kind"`
	Line    string         `json:"line,omitempty"` // masked
	Status  string         `json:"status"`
	NextAt  time.Time      `json:"nextAt,omitzero"`
	Events  []Event        `json:"events"`
	Missing []timeline.Gap `json:"missing,omitempty"`
}

// Event is timeline.Event.
type Event struct {
	At     time.Time         `json:"at"`
	Source timeline.Source   `json:"source"`
	What   timeline.What     `json:"what"`
	Text   string            `json:"text"`
	Facts  map[string]string `json:"facts"`
}

// Trouble is the answer when it is none: a public code.
type Trouble struct {
	Code fault.Code `json:"code"`
}

// Handler answers GET Path/{id}.
func Handler(of ports.Timelines, report ports.Report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		request, err := id.Parse(r.PathValue("id"))
		if err != nil {
			answer(w, http.StatusBadRequest, Trouble{fault.ValidationError})
			return
		}
		story, err := of.Of(r.Context(), request)
		switch {
		case err == nil:
			answer(w, http.StatusOK, toStory(story))
		case fault.From(err).Code() == fault.ResourceNotFound:
			answer(w, http.StatusNotFound, Trouble{fault.ResourceNotFound})
		default:
			report(r.Context(), err)
			answer(w, http.StatusServiceUnavailable, Trouble{fault.ServiceUnavailable})
		}
	})
	return mux
}

func toStory(s timeline.Story) Story {
	out := Story{Kind: s.Kind, Line: s.Line, Status: s.Status, NextAt: s.NextAt, Missing: s.Missing, Events: make([]Event, len(s.Events))}
	for i, e := range s.Events {
		out.Events[i] = Event(e)
	}
	return out
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // nobody is left to tell
}
