// Package parked serves the parked orders on the product service's internal listener, behind feed.Protected; the gateway asks for them
// (adapters/opslink). No route of the gateway leads to it.
package parked

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Path is where the list is served; below it, /{id}/resolve takes a POST.
const Path = "/internal/v1/parked-changes"

// Page is the answer, version 1 (the version is in the path; fields may be added).
type Page struct {
	Total int     `json:"total"`
	Items []Order `json:"items"`
}

// Order is product.ParkedOrder.
type Order struct {
	ID            id.ID     `json:"id"`
	TransactionID id.ID     `json:"transactionId"`
	Line          string    `json:"line,omitempty"` // masked
	From          string    `json:"from"`
	To            string    `json:"to"`
	EffectiveDate string    `json:"effectiveDate"`
	RequestedAt   time.Time `json:"requestedAt"`
	ParkedAt      time.Time `json:"parkedAt"`
	Sends         int       `json:"sends"`
	Reconciles    int       `json:"reconciles"`
	KOSOrder      string    `json:"kosOrder,omitempty"`
	Proposal      *Word     `json:"proposal,omitempty"`
}

// Word is product.Resolution, asked and answered. Who asks gives no time.
type Word struct {
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	At      time.Time `json:"at,omitzero"`
}

// Verdict is what a word made: PROPOSED or RESOLVED.
type Verdict struct {
	Result string `json:"result"`
}

// Trouble is the answer when it is none: a public code and what there is to say to a person.
type Trouble struct {
	Code    fault.Code        `json:"code"`
	Message string            `json:"message,omitempty"`
	Details map[string]string `json:"details,omitempty"`
}

const maxWord = 16 << 10

// Handler answers GET Path?page=&size= and POST Path/{id}/resolve.
func Handler(of ports.ParkedChanges, now ports.Clock, report ports.Report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) {
		page, err1 := strconv.Atoi(r.URL.Query().Get("page"))
		size, err2 := strconv.Atoi(r.URL.Query().Get("size"))
		if errors.Join(err1, err2) != nil || page < 1 || size < 1 {
			answer(w, http.StatusBadRequest, Trouble{Code: fault.ValidationError})
			return
		}
		parked, total, err := of.List(r.Context(), page, size)
		if err != nil {
			refuse(w, r, err, report)
			return
		}
		out := Page{Total: total, Items: make([]Order, len(parked))}
		for i, o := range parked {
			out.Items[i] = toOrder(o)
		}
		answer(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST "+Path+"/{id}/resolve", func(w http.ResponseWriter, r *http.Request) {
		order, word, err := read(w, r, now())
		if err != nil {
			refuse(w, r, err, report)
			return
		}
		verdict, err := of.Resolve(r.Context(), order, word)
		if err != nil {
			refuse(w, r, err, report)
			return
		}
		answer(w, http.StatusOK, Verdict{verdict.String()})
	})
	return mux
}

func read(w http.ResponseWriter, r *http.Request, now time.Time) (id.ID, product.Resolution, error) {
	bad := fault.New(fault.ValidationError)
	order, err := id.Parse(r.PathValue("id"))
	if err != nil {
		return id.ID{}, product.Resolution{}, bad.Because(err)
	}
	var said Word
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxWord)).Decode(&said); err != nil || said.By == "" {
		return id.ID{}, product.Resolution{}, bad.Because(err)
	}
	word, err := product.ParseResolution(said.Outcome, said.Reason, auth.UserID(said.By), now)
	return order, word, err
}

func toOrder(o product.ParkedOrder) Order {
	out := Order{
		ID: o.ID, TransactionID: o.TransactionID, Line: o.Line, From: o.From, To: o.To, EffectiveDate: o.EffectiveDate.String(),
		RequestedAt: o.RequestedAt, ParkedAt: o.ParkedAt, Sends: o.Sends, Reconciles: o.Reconciles, KOSOrder: o.KOSOrder,
	}
	if p := o.Proposal; p != (product.Resolution{}) {
		out.Proposal = &Word{Outcome: string(p.Outcome), Reason: p.Reason, By: string(p.By), At: p.At}
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
		answer(w, status, Trouble{f.Code(), f.Message(), f.Details()})
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
