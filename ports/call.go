package ports

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/quota"
)

// Call says what one call to KOS, or to another system behind a product, may spend and whom it is made for. It is an
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

// RecordTimeout is how long recording the outcome of a call may take after its caller has gone.
const RecordTimeout = 2 * time.Second

// RecordContext returns a context for what must be recorded even if the caller has gone: a guess, an event of the
// history, the end of a session. It outlives the caller and ends after RecordTimeout.
func RecordContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout)
}

// Trace ties together everything that one request causes, from the edge to KOS and the logs.
type Trace struct {
	RequestID string // X-Request-ID as accepted or made at the edge
	TraceID   string // W3C trace id, 32 hex digits
	SpanID    string // W3C span id of this hop, 16 hex digits
}

// Traceparent returns the header to send onwards, empty when there is no trace.
func (t Trace) Traceparent() string {
	if t.TraceID == "" || t.SpanID == "" {
		return ""
	}
	return "00-" + t.TraceID + "-" + t.SpanID + "-01"
}

type traceKey struct{}

// WithTrace returns a context that carries the trace.
func WithTrace(ctx context.Context, t Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the trace that ctx carries, the zero Trace when it carries none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
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

type shutdownKey struct{}

// WithShutdown returns a context that carries the process's shutdown: the channel is closed when the shutdown begins.
// The request may still be completed, but a long poll returns what is known at that moment.
func WithShutdown(ctx context.Context, shutdown <-chan struct{}) context.Context {
	return context.WithValue(ctx, shutdownKey{}, shutdown)
}

// ShuttingDown returns the channel that is closed when the process begins to shut down; nil, which is never closed,
// when the context carries none.
func ShuttingDown(ctx context.Context) <-chan struct{} {
	shutdown, _ := ctx.Value(shutdownKey{}).(<-chan struct{})
	return shutdown
}
