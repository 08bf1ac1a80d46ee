// Package request holds the rules that all requests of customers share, whatever they ask for: how long an answer may
// take, and how a client repeats a request safely. Begin with request.go; docs/adding-a-product.md shows how a product
// uses it.
package request

import (
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// Request is what a customer asked for, of a product that keeps nothing about it but this (docs/adding-a-product.md).
// Bill inquiries and plan changes have rows of their own and share the parts around them.
type Request struct {
	ID            id.ID
	Kind          Kind
	UserID        auth.UserID
	Subject       Subject
	Payload       []byte // what was asked for, in the product's own encoding; sealed at rest
	Result        []byte // what came of it, in the product's own encoding; sealed at rest; empty until then
	Status        Status
	Code          fault.Code // why it failed
	Note          string     // for staff: what the last attempt met; never personal data
	RequestedAt   time.Time
	ProcessedAt   time.Time // zero until it is final
	NextAttemptAt time.Time // when it is due, or its lease ends; zero when it is final or parked
	Attempts      int       // counted before they are made
	Fence         int64     // of the lease; a late worker's is older and changes nothing
	TraceID       string
}

// Kind names the product that a request belongs to. It is part of the wire format.
type Kind string

// Subject is what a request is about: a line, a member, an event. It is opaque here and may be personal data, so a
// store seals it and finds it by a blind index. Events about one subject are delivered in order.
type Subject string

// Status of a request.
type Status string

// The statuses.
const (
	Processing Status = "PROCESSING"
	Parked     Status = "PARKED" // its attempts are used up, or it needs a decision: staff resume or end it
	Completed  Status = "COMPLETED"
	Failed     Status = "FAILED"
	Cancelled  Status = "CANCELLED"
)

// Final reports whether nothing changes the request any more.
func (s Status) Final() bool { return s == Completed || s == Failed || s == Cancelled }

// Outcome is what one attempt came to. The zero Outcome is an attempt without an answer: it is made again.
type Outcome struct {
	Status     Status // empty or Processing: try again
	Result     []byte
	Code       fault.Code
	Note       string
	RetryAfter time.Duration // at least so long until the next attempt
}

// Retry says how often and how soon attempts are made.
type Retry struct {
	Attempts  int           // in all; then the request is parked
	FirstWait time.Duration // doubled after each attempt
	MaxWait   time.Duration
}

// After returns the request after an attempt. rnd in [0,1) spreads the next attempt over the upper half of its wait.
func (r Request) After(o Outcome, p Retry, now time.Time, rnd float64) Request {
	r.Note = o.Note
	switch {
	case o.Status.Final():
		r.Status, r.Result, r.Code, r.ProcessedAt, r.NextAttemptAt = o.Status, o.Result, o.Code, now, time.Time{}
	case o.Status == Parked || r.Attempts >= p.Attempts:
		r.Status, r.NextAttemptAt = Parked, time.Time{}
	default:
		wait := p.MaxWait
		if shift := max(0, r.Attempts-1); shift < 30 {
			wait = min(p.FirstWait<<shift, p.MaxWait)
		}
		wait = wait/2 + time.Duration(rnd*float64(wait/2))
		r.NextAttemptAt = now.Add(max(wait, o.RetryAfter))
	}
	return r
}

// Resumed returns a parked request that is due again, with all its attempts. CONFLICT when it is not parked.
func (r Request) Resumed(now time.Time) (Request, error) {
	if r.Status != Parked {
		return r, fault.New(fault.StateConflict)
	}
	r.Status, r.Attempts, r.NextAttemptAt = Processing, 0, now
	return r, nil
}

// HistoryFilter chooses one page of a user's requests.
type HistoryFilter struct {
	UserID  auth.UserID
	Subject Subject
	Page    int // from 1
	Size    int
}

// AnswerBudget is how long a request may take until its answer is sent, counted from its arrival at the service. A
// customer has an answer within 3 s; the rest of the 3 s is for the gateway and the network. A bill inquiry or a plan
// change that is not done by then is answered with 202 and carried on in the background. A screen or a check whose
// facts KOS has not delivered by then is answered with an old copy or with 503.
const AnswerBudget = 2700 * time.Millisecond
