// Package requests serves a service's requests to staff on its internal listener, behind feed.Protected; the gateway asks for them
// (adapters/opslink). No route of the gateway leads to it.
package requests

import (
	"encoding/json"
	"net/http"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/staff"
	"phonebill/ports"
)

// Path takes a POST with a Query below it at /search, since a line number does not belong into an address; /{id}/cancel takes a POST.
const Path = "/internal/v1/requests"

// Query is requests.Filter, version 1 (the version is in the path; fields may be added). Unknown fields are refused: a filter that is not
// understood must not look like none.
type Query struct {
	Line    string `json:"line,omitempty"`
	UserID  string `json:"userId,omitempty"`
	State   string `json:"state,omitempty"`
	TraceID string `json:"traceId,omitempty"`
	Page    int    `json:"page"`
	Size    int    `json:"size"`
}

// Page is the answer.
type Page struct {
	Total int       `json:"total"`
	Items []Request `json:"items"`
}

// Request is requests.Request.
type Request struct {
	ID          id.ID     `json:"id"`
	Kind        string    `json:"kind"`
	UserID      string    `json:"userId"`
	Line        string    `json:"line,omitempty"` // masked
	State       string    `json:"state"`
	Subject     string    `json:"subject"`
	RequestedAt time.Time `json:"requestedAt"`
	ProcessedAt time.Time `json:"processedAt,omitzero"`
	NextAt      time.Time `json:"nextAt,omitzero"`
	Code        string    `json:"code,omitempty"`
	TraceID     string    `json:"traceId,omitempty"`
	Cancellable bool      `json:"cancellable"`
}

// Trouble is the answer when it is none: a public code, and what it says to staff.
type Trouble struct {
	Code    fault.Code `json:"code"`
	Message string     `json:"message,omitempty"`
}

const maxQuery = 4 << 10

// Handler serves the requests of one kind.
func Handler(of ports.Requests, kind staff.Kind, report ports.Report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path+"/search", func(w http.ResponseWriter, r *http.Request) {
		f, err := filter(w, r, kind)
		if err != nil {
			answer(w, http.StatusBadRequest, Trouble{Code: fault.ValidationError})
			return
		}
		page, total, err := of.List(r.Context(), f)
		if err != nil {
			refuse(w, r, err, report)
			return
		}
		out := Page{Total: total, Items: make([]Request, len(page))}
		for i, q := range page {
			out.Items[i] = toRequest(q)
		}
		answer(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST "+Path+"/{id}/cancel", func(w http.ResponseWriter, r *http.Request) {
		request, err := id.Parse(r.PathValue("id"))
		if err != nil {
			answer(w, http.StatusBadRequest, Trouble{Code: fault.ValidationError})
			return
		}
		if err := of.Cancel(r.Context(), request); err != nil {
			refuse(w, r, err, report)
			return
		}
		answer(w, http.StatusOK, struct{}{})
	})
	return mux
}

func filter(w http.ResponseWriter, r *http.Request, kind staff.Kind) (f staff.Filter, err error) {
	var q Query
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuery))
	in.DisallowUnknownFields()
	if err := in.Decode(&q); err != nil {
		return f, err
	}
	f = staff.Filter{UserID: auth.UserID(q.UserID), State: q.State, TraceID: q.TraceID, Page: q.Page, Size: q.Size}
	if q.Line != "" {
		if f.Line, err = line.Parse(q.Line); err != nil {
			return f, err
		}
	}
	if q.Page < 1 || q.Size < 1 {
		return f, fault.New(fault.ValidationError)
	}
	return f, f.Check(kind)
}

func toRequest(r staff.Request) Request {
	return Request{
		ID: r.ID, Kind: string(r.Kind), UserID: string(r.UserID), Line: r.Line, State: r.State, Subject: r.Subject,
		RequestedAt: r.RequestedAt, ProcessedAt: r.ProcessedAt, NextAt: r.NextAt, Code: r.Code, TraceID: r.TraceID, Cancellable: r.Cancellable,
	}
}

// refuse gives the refusals that are the caller's business their status; everything else is trouble of ours.
func refuse(w http.ResponseWriter, r *http.Request, err error, report ports.Report) {
	known := map[fault.Code]int{fault.ResourceNotFound: http.StatusNotFound, fault.StateConflict: http.StatusConflict}
	f := fault.From(err)
	if status, ok := known[f.Code()]; ok {
		answer(w, status, Trouble{f.Code(), f.Message()})
		return
	}
	report(r.Context(), err)
	answer(w, http.StatusServiceUnavailable, Trouble{Code: fault.ServiceUnavailable})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may be gone
}
