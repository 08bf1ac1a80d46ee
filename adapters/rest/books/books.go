// Package books serves comparisons of the books on the product service's internal listener, behind feed.Protected; the command line asks
// for them (adapters/opslink). No route of the gateway leads to it.
package books

import (
	"encoding/json"
	"net/http"
	"time"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Path takes a POST that begins a run; below it, /{id} and /last tell of one.
const Path = "/internal/v1/books/runs"

// Window is what is to be compared: the orders that became final from From until just before To.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Report is product.BookReport, version 1 (the version is in the path; fields may be added).
type Report struct {
	ID          id.ID        `json:"id"`
	Nightly     bool         `json:"nightly"`
	From        time.Time    `json:"from"`
	To          time.Time    `json:"to"`
	StartedAt   time.Time    `json:"startedAt"`
	FinishedAt  time.Time    `json:"finishedAt,omitzero"`
	ReachedAt   time.Time    `json:"reachedAt,omitzero"` // orders that became final before it were looked at
	Checked     int          `json:"checked"`
	Asked       int          `json:"asked"`
	Undecided   int          `json:"undecided"`
	Unasked     int          `json:"unasked"`
	Found       int          `json:"found"`
	Differences []Difference `json:"differences"`
}

// Difference is product.Difference.
type Difference struct {
	RequestID id.ID     `json:"requestId"`
	Line      string    `json:"line,omitempty"` // masked
	Kind      string    `json:"kind"`
	Found     time.Time `json:"found"`
	Text      string    `json:"text"`
}

// Trouble is the answer when it is none: a public code and what there is to say to a person.
type Trouble struct {
	Code    fault.Code `json:"code"`
	Message string     `json:"message,omitempty"`
}

const maxWindow = 1 << 10

// Handler answers POST Path, GET Path/{id} and GET Path/last.
func Handler(of ports.BookChecks, report ports.Report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path, func(w http.ResponseWriter, r *http.Request) {
		var asked Window
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxWindow)).Decode(&asked); err != nil {
			answer(w, http.StatusBadRequest, Trouble{Code: fault.ValidationError})
			return
		}
		run, err := of.Start(r.Context(), asked.From, asked.To)
		if err != nil {
			refuse(w, r, err, report)
			return
		}
		answer(w, http.StatusOK, toReport(product.BookReport{Run: run}))
	})
	mux.HandleFunc("GET "+Path+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		run, err := id.Parse(r.PathValue("id"))
		if err != nil && r.PathValue("id") != "last" {
			answer(w, http.StatusBadRequest, Trouble{Code: fault.ValidationError})
			return
		}
		got, err := of.Report(r.Context(), run)
		if err != nil {
			refuse(w, r, err, report)
			return
		}
		answer(w, http.StatusOK, toReport(got))
	})
	return mux
}

func toReport(r product.BookReport) Report {
	out := Report{
		ID: r.Run.ID, Nightly: r.Run.Nightly, From: r.Run.From, To: r.Run.To, StartedAt: r.Run.StartedAt,
		FinishedAt: r.Run.Finished,
		ReachedAt:  r.Run.Reached.At,
		Checked:    r.Run.Checked, Asked: r.Run.Asked, Undecided: r.Run.Undecided, Unasked: r.Run.Unasked, Found: r.Run.Found,
		Differences: make([]Difference, len(r.Differences)),
	}
	for i, d := range r.Differences {
		out.Differences[i] = Difference{d.RequestID, d.Line, string(d.Kind), d.Found, d.Text}
	}
	return out
}

// refuse answers the refusals that are the asker's business with their status; everything else is trouble of ours.
func refuse(w http.ResponseWriter, r *http.Request, err error, report ports.Report) {
	known := map[fault.Code]int{
		fault.ResourceNotFound: http.StatusNotFound, fault.StateConflict: http.StatusConflict, fault.ValidationError: http.StatusBadRequest,
	}
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
	_ = json.NewEncoder(w).Encode(body) // nobody is left to tell
}
