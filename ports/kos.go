package ports

import (
	"context"
	"errors"
	"time"

	"phonebill/core/alert"
	"phonebill/core/audit"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/quota"
)

// ErrNotAsked is in the chain of an error of a KOS port when the call provably never left us: breaker open, quota used up, no
// connection. Such a call costs no attempt.
var ErrNotAsked = errors.New("kos was not asked")

// ErrNoAnswer is in the chain of an error of a KOS port when KOS was asked and did not answer in time.
var ErrNoAnswer = errors.New("kos did not answer in time")

// ErrTransient is in the chain of an error of a KOS port when the same question may well be answered a moment later: a connection that
// broke, a system error. What KOS does not like (our request, our credential, our number of calls) or cannot say it will not say then
// either.
var ErrTransient = errors.New("kos may answer a moment later")

// NamedError is in the chain of an error of CustomerSource when KOS's answer states whose the line is and cannot be used
// for anything else. Its text does not name the customer.
type NamedError struct{ Customer string }

func (NamedError) Error() string { return "kos states the line's customer and too little else" }

// Quota is the budget of calls to KOS over all instances.
type Quota interface {
	// Take spends one call of the lane, or answers SERVICE_UNAVAILABLE with a Retry-After and ErrNotAsked when the budget leaves none.
	// It never waits for a place.
	Take(ctx context.Context, lane quota.Lane) error
	// OverSpent says that KOS has answered E429 all the same: the budget of all instances shrinks for a while (quota.Squeeze), at
	// least for retryAfter.
	OverSpent(ctx context.Context, retryAfter time.Duration) error
}

// CallLog is the processing history of KOS calls, append-only.
type CallLog interface {
	// Append stores one call; the same call again changes nothing.
	Append(ctx context.Context, c audit.Call) error
}

// Flights keep the instances from asking KOS the same at the same time. They are advice, not truth: a caller whose Begin errs asks all the
// same, and what is remembered may be forgotten at any time.
type Flights interface {
	// Begin answers whose turn it is to ask about the subject. When it is Mine the turn is leased to the caller: nobody else gets it until
	// Land, or until the lease is over.
	Begin(ctx context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error)
	// Land gives the turn back and leaves a note for those who ask next. It changes nothing when the turn has been given to somebody else
	// since. Failures in a row are remembered for a while after the rest they cause, so that the next one rests longer.
	Land(ctx context.Context, s freshness.Subject, token string, l freshness.Landing) error
}

// Alerts tell a person of trouble.
type Alerts interface {
	// Raise tells. It never errs and never waits for the person.
	Raise(ctx context.Context, a alert.Alert)
}

type attemptKey struct{}

// WithAttempt answers a context that tells the call log which attempt of a question its calls are, counting from 1.
func WithAttempt(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, attemptKey{}, n)
}

// AttemptOf answers what WithAttempt said, 1 when nobody did.
func AttemptOf(ctx context.Context) int {
	if n, ok := ctx.Value(attemptKey{}).(int); ok {
		return n
	}
	return 1
}

type requestKey struct{}

// WithRequest answers a context that tells the call log which inquiry or order its calls are made for, where they do not say so themselves.
func WithRequest(ctx context.Context, request id.ID) context.Context {
	return context.WithValue(ctx, requestKey{}, request)
}

// RequestOf answers what WithRequest said, the zero id when nobody did.
func RequestOf(ctx context.Context) id.ID {
	request, _ := ctx.Value(requestKey{}).(id.ID)
	return request
}

type sentKey struct{}

// WithSent returns a context whose question to KOS calls sent when it is on its way: when its call has got a connection,
// or when it waits for a call that others have begun. A question that needs no call, or whose call is not made, does not.
// sent may be called several times and from any goroutine.
func WithSent(ctx context.Context, sent func()) context.Context {
	return context.WithValue(ctx, sentKey{}, sent)
}

// Sent calls what WithSent set; nothing happens without it.
func Sent(ctx context.Context) {
	if sent, ok := ctx.Value(sentKey{}).(func()); ok {
		sent()
	}
}

type leaseKey struct{}

// WithLease answers a context whose calls are not put on the wire at or after until: whoever is late has lost what he was about to do.
func WithLease(ctx context.Context, until time.Time) context.Context {
	return context.WithValue(ctx, leaseKey{}, until)
}

// LeaseOf answers what WithLease said; false when nobody did.
func LeaseOf(ctx context.Context) (until time.Time, ok bool) {
	until, ok = ctx.Value(leaseKey{}).(time.Time)
	return until, ok
}
