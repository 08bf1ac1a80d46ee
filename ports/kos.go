package ports

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/quota"
)

// ErrNotAsked is in the chain of an error of a KOS port when the call provably never left us: breaker open, quota used
// up, no connection. Such a call costs no attempt.
var ErrNotAsked = errors.New("kos was not asked")

// ErrNoAnswer is in the chain of an error of a KOS port when KOS was asked and did not answer in time.
var ErrNoAnswer = errors.New("kos did not answer in time")

// ErrTransient is in the chain of an error of a KOS port when the same question may well be answered a moment later:
// a connection that broke, a system error. What KOS refuses (our request, our credential, our number of calls) or
// does not know will be no different then.
var ErrTransient = errors.New("kos may answer a moment later")

// NamedError is in the chain of an error of CustomerSource when KOS's answer states whose the line is and cannot be
// used for anything else. Its text does not name the customer.
type NamedError struct{ Customer string }

func (NamedError) Error() string { return "kos states the line's customer and too little else" }

// Quota is the budget of calls to KOS over all instances.
type Quota interface {
	// Take spends one call of the lane, or returns SERVICE_UNAVAILABLE with a Retry-After and ErrNotAsked when the budget
	// leaves none. It never waits for a place.
	Take(ctx context.Context, lane quota.Lane) error
	// OverSpent records that KOS has answered E429 all the same: the budget of all instances shrinks for a while
	// (quota.Squeeze), at least for retryAfter.
	OverSpent(ctx context.Context, retryAfter time.Duration) error
}

// CallLog is the processing history of KOS calls, append-only.
type CallLog interface {
	// Append stores one call; the same call again changes nothing.
	Append(ctx context.Context, c audit.Call) error
}

// Flights keep the instances from asking KOS the same at the same time (single flight over all processes). They are
// advice, not truth: a caller whose Begin errs asks all the same, and what is remembered may be forgotten at any time.
type Flights interface {
	// Begin returns who may ask about the subject. When the state is Granted the caller holds the lease: no other caller
	// gets it until Finish, or until the lease is over. The flight's At is then that of the outcome noted last, as far as
	// it is still known.
	Begin(ctx context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error)
	// Finish gives the lease back and notes the outcome for those who ask next. It changes nothing when another caller
	// has been given the lease since. Failures in a row are remembered for a while after the pause they cause, so that the
	// next one pauses longer.
	Finish(ctx context.Context, s freshness.Subject, token string, o freshness.Outcome) error
}

// Alerts notify a person of failures.
type Alerts interface {
	// Raise raises the alert. It never errs and never waits for the person.
	Raise(ctx context.Context, a operations.Alert)
}

// Call holds what one call to KOS, or to another system behind a product, may spend, and for whom it is made. It is an
// argument of every KOS port; the context carries cancellation and trace only.
type Call struct {
	Lane      quota.Lane // of the KOS budget
	RequestID id.ID      // the inquiry or order that it is made for, also in the call log; zero = none
	Attempt   int        // of the question, for the call log, counting from 1; 0 counts as 1
	NotAfter  time.Time  // it is not put on the wire at or after it, by the clock that all instances share; zero = none
	Payer     Payer      // the customer whose allowance it is taken from; zero = none
	OnSent    func()     // nil, or called when the question is on its way; see Sent
}

// Sent reports that the question is on its way: its call has got a connection, or it waits for a call that others
// have begun. A question that needs no call, or whose call is not made, does not. OnSent may be called several times
// and from any goroutine.
func (c Call) Sent() {
	if c.OnSent != nil {
		c.OnSent()
	}
}

// NotAskedError stands beside ErrNotAsked in a chain and names the reason why the call was not sent: OPEN (breaker),
// QUOTA, NOT_SENT (no connection, or no time left).
type NotAskedError string

// Error returns the reason, for logs.
func (e NotAskedError) Error() string { return "kos: " + string(e) }

// NotAskedReason returns why a call was not sent, empty when the chain names no reason.
func NotAskedReason(err error) string {
	if why, ok := errors.AsType[NotAskedError](err); ok {
		return string(why)
	}
	return ""
}

// Allowances are what each customer may spend of the KOS budget, over all instances (quota.Allowance). A store that
// cannot be asked refuses nothing by itself: the calls of this process count then.
type Allowances interface {
	// Check returns RATE_LIMIT_EXCEEDED with a Retry-After, and ErrNotAsked in its chain, when the customer has spent
	// the allowance. It counts nothing, and for a customer that was refused a moment ago it does not read the store.
	Check(ctx context.Context, customer auth.UserID) error
	// Spend counts one call, or returns what Check does and counts none. Of parallel calls no more are counted than
	// allowed.
	Spend(ctx context.Context, customer auth.UserID) error
	// Count counts one call also beyond the allowance: what was accepted is carried out, and paid for later.
	Count(ctx context.Context, customer auth.UserID)
	// GiveBack takes back the newest call counted, which was not made.
	GiveBack(ctx context.Context, customer auth.UserID)
}

// Payer is the customer whose allowance a call of KOS is taken from; the zero Payer is no customer.
type Payer struct {
	Customer auth.UserID
	Accepted bool // what the call is for was accepted: it is counted, and made also beyond the allowance
	Prepaid  *Prepaid
}

// Prepaid are calls that were counted before they are made. It is safe for concurrent use; nil holds none.
type Prepaid struct{ remaining atomic.Int32 }

// Prepay holds that many calls.
func Prepay(calls int32) *Prepaid {
	p := &Prepaid{}
	p.remaining.Store(calls)
	return p
}

// Take takes one call; it returns false when none is left.
func (p *Prepaid) Take() bool {
	if p == nil {
		return false
	}
	if p.remaining.Add(-1) >= 0 {
		return true
	}
	p.remaining.Add(1)
	return false
}

// Return puts one call back, which was not made.
func (p *Prepaid) Return() { p.remaining.Add(1) }

// RaisedEpochs lists raised epochs, so that each instance can bring its cache up to date, whichever instance raised
// them.
type RaisedEpochs interface {
	// Raised returns what was raised since, in any order, some perhaps repeatedly, and asOf by the store's clock: a
	// later call with since = asOf misses nothing. since must be an earlier call's asOf; epochs raised before it may be
	// included.
	Raised(ctx context.Context, since time.Time) (raised []freshness.Raise, asOf time.Time, err error)
}

// ActiveLines are the lines whose customers were active lately: what is worth fetching before it is asked for.
type ActiveLines interface {
	// NoteActiveLine stores that customers asked about the lines at that time. A line that is new is due at due; of
	// others only the time is updated.
	NoteActiveLine(ctx context.Context, k freshness.Kind, lines []line.Number, at, due time.Time) error
	// Due leases up to n lines that are due at now and were noted at since or later, until now+lease; the longest due
	// first.
	Due(ctx context.Context, k freshness.Kind, now, since time.Time, lease time.Duration, n int) ([]line.Number, error)
	// Done sets when the line is due next.
	Done(ctx context.Context, k freshness.Kind, n line.Number, next time.Time) error
	// Forget drops lines that were not seen since.
	Forget(ctx context.Context, k freshness.Kind, since time.Time) error
}
