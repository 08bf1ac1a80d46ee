// Package delivery holds the rules of delivering results to the MVNO AP server: at least once, in order per line and
// event type, retried for three days, then parked for a person (ADR 3, R-AP-ANSWERS). Begin with NextState
// (delivery.go).
package delivery

import (
	"time"

	"phonebill/core/id"
)

// Item is one event to deliver. Body is the result that it reports.
type Item[T any] struct {
	ID        id.ID     // webhook-id; the same in every attempt
	Subject   string    // opaque key of what the event is about (a line, for instance); events are ordered by it
	Sequence  int64     // counts from 1 per subject and event type, without gaps
	Attempts  int       // attempts made before this one
	CreatedAt time.Time // when the three days began: the result became final, or a person had it delivered again
	Fence     int64     // of the lease under which it was claimed
	Body      T
	// Unreadable is the result of the attempt when the event cannot be delivered at all because the stored data cannot
	// be read; otherwise it is nil.
	Unreadable *Attempt
}

// AttemptResult is the outcome of one claimed item. An attempt that was not made gives the item back as it was.
type AttemptResult struct {
	ID      id.ID
	Fence   int64 // of the claim
	Attempt Attempt
	State   State
	Next    time.Time // while Pending: when its line is due again, if it is the line's first
}

// State of a delivery.
type State string

// The states.
const (
	None      State = "NONE" // nothing to deliver yet: the request is not final
	Pending   State = "PENDING"
	Delivered State = "DELIVERED"
	Parked    State = "PARKED"
)

// ListedStates lists the states of events that staff are shown.
func ListedStates() []State { return []State{Pending, Delivered, Parked} }

// Outcome is what the receiver made of one attempt.
type Outcome uint8

// The outcomes.
const (
	Accepted     Outcome = iota // 2xx
	Failed                      // 408, 425, 429, 5xx, time-out, no connection: try again
	Rejected                    // any other response: trying again cannot help
	NotAttempted                // no attempt was made: the circuit breaker is open
)

// Made reports whether an attempt was made at all.
func (a Attempt) Made() bool { return a.Outcome != NotAttempted }

// Attempt is one attempt's outcome with a note for the operator (no personal data).
type Attempt struct {
	Outcome    Outcome
	Note       string
	RetryAfter time.Duration // Failed: the wait that the receiver asked for; 0 = none
}

// Limits of trying.
const (
	firstWait = 2 * time.Second
	maxWait   = 15 * time.Minute
	maxAge    = 72 * time.Hour
)

// NextState returns an item's state after an attempt and, while Pending, how long to wait before the next one. rnd in
// [0,1) spreads the retries (full jitter over the upper half). A longer wait that the receiver asks for is kept, up to
// 15 min.
func NextState(created time.Time, attempts int, a Attempt, now time.Time, rnd float64) (State, time.Duration) {
	switch {
	case a.Outcome == Accepted:
		return Delivered, 0
	case a.Outcome == Rejected || now.Sub(created) >= maxAge:
		return Parked, 0
	}
	wait := maxWait
	if attempts < 9 {
		wait = min(firstWait<<attempts, maxWait)
	}
	wait = wait/2 + time.Duration(rnd*float64(wait/2))
	return Pending, max(wait, min(a.RetryAfter, maxWait))
}
