// Package copies serves queries about what KOS states: from a stored copy while it is fresh, else by asking KOS, once
// at a time about one subject however many callers want to know, in this process and in all others. Begin with Get.
package copies

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Policy says how the queries of one kind of caller are answered.
type Policy struct {
	Lane         quota.Lane    // of the calls to KOS; a refresh in the background uses quota.Refresh
	Timeout      time.Duration // of a question to KOS, retries included
	MaxWait      time.Duration // of a caller, while the question goes on for later ones; 0 = as long as the question takes
	Attempts     int           // calls to KOS at most
	RefreshAhead bool          // a copy in demand is refreshed in the background before it is stale
	Durable      bool          // an answer that cannot be stored is an error
}

// Source reads, judges, asks for and stores the copies of one subject.
type Source[V any] interface {
	// Read returns the newest stored copy, or an older one for a while after a newer one was stored. Any error counts as
	// no copy; NOT_FOUND is exact.
	Read(ctx context.Context) (V, error)
	// ReadCommitted is Read without that lag.
	ReadCommitted(ctx context.Context) (V, error)
	// State returns what a stored copy is worth at now when nothing older than since will do (zero = any age).
	State(stored V, since, now time.Time, rnd float64) freshness.State
	// Ask makes one call to KOS.
	Ask(ctx context.Context, call ports.Call) (V, error)
	// Store makes KOS's answer the newest stored copy.
	Store(ctx context.Context, answer V) error
	// MayServeStale reports whether a stale copy is the answer after that failure (ADR 23). attempts calls were made for
	// this query.
	MayServeStale(trouble error, attempts int) bool
}

// Query is what a caller wants to know, and what it may cost.
type Query[V any] struct {
	Subject       freshness.Subject
	Source        Source[V]
	Policy        Policy
	Since         time.Time  // no answer that KOS was asked for before will do (ADR 22); zero = any age that State allows
	PriorAttempts int        // calls that were made for the same request before, for the call log
	Call          ports.Call // whom KOS is asked for, and who pays; Lane and Attempt are set for each call
}

// Copy is the answer to a query.
type Copy[V any] struct {
	Value    V
	Source   freshness.Source
	Attempts int // calls to KOS that failed or brought it, also those of another caller that was waited for
}

// Stored is what the store held about a subject when it was read.
type Stored[V any] struct {
	Value  V
	State  freshness.State
	readAt time.Time // when the read began; zero when the store may hold a newer copy all the same
}

// IsFresh reports whether the copy may be shown without asking KOS.
func (s Stored[V]) IsFresh() bool { return s.State >= freshness.RefreshDue }

// CanBeServed reports whether the copy may be shown at all, be it stale.
func (s Stored[V]) CanBeServed() bool { return s.State >= freshness.Stale }

// Copies serves queries of one kind. It is safe for concurrent use; the zero value of what is not exported is ready.
type Copies[V any] struct {
	Flights    ports.Flights
	Allowances ports.Allowances // of the customers; nil = without a limit
	Tally      freshness.Tally
	Now        ports.Clock
	Random     ports.Random

	mu         sync.Mutex
	flights    map[freshness.Subject]*flight[V]
	refreshing int
	running    sync.WaitGroup
}

const (
	// grace is how much longer than its question's timeout a caller waits for the result of that question.
	grace = 200 * time.Millisecond
	// maxRefreshes is how many copies are refreshed ahead at a time. One that finds no place is refreshed when it is
	// stale.
	maxRefreshes = 16
	// lookupTimeout bounds one read of the store; a store that takes longer holds no copy. A busy store may take its time,
	// for a call to KOS costs more and a stale copy is better than none, but one that hangs must leave time for KOS.
	lookupTimeout = time.Second
	// retryAfterTimeout is the Retry-After of a caller whose time was over before the answer came. By then it may join the
	// question, which goes on, or find its answer.
	retryAfterTimeout = 3 * time.Second
)

// Get returns a stored copy that is fresh, else KOS's answer, else a stale copy where Source.MayServeStale allows it.
// Where there is no copy the store is read once before KOS is asked. The error is what Source.Ask returned;
// SERVICE_UNAVAILABLE with a Retry-After when KOS has failed on the subject so often that it is left alone;
// RATE_LIMIT_EXCEEDED when the payer's allowance is spent; ErrNoAnswer when the time is over. Copy.Attempts is set with
// an error too.
func (c *Copies[V]) Get(ctx context.Context, q Query[V]) (Copy[V], error) {
	return c.Fetch(ctx, q, c.Lookup(ctx, q))
}

// Lookup reads the store once, without asking KOS. When the copy is in demand and nearly stale, it is refreshed in the
// background if the policy says so.
func (c *Copies[V]) Lookup(ctx context.Context, q Query[V]) Stored[V] {
	stored, missing := c.read(ctx, q, q.Source.Read)
	if !missing { // the store may hold a newer copy
		stored.readAt = time.Time{}
	}
	if stored.IsFresh() {
		if stored.State == freshness.RefreshDue && q.Policy.RefreshAhead {
			c.refreshAhead(ctx, q, stored)
		}
		c.Tally.Hit()
	}
	return stored
}

// GetStored returns the stored copy if it may be shown, be it stale, without asking KOS; false when there is none.
func (c *Copies[V]) GetStored(ctx context.Context, q Query[V]) (Copy[V], bool) {
	return c.ServeStored(c.Lookup(ctx, q))
}

// ServeStored returns the copy that Lookup found if it may be shown, be it stale; false when it may not.
func (c *Copies[V]) ServeStored(stored Stored[V]) (Copy[V], bool) {
	switch {
	case stored.IsFresh():
		return Copy[V]{Value: stored.Value, Source: freshness.FromCache}, true
	case stored.CanBeServed():
		c.Tally.Stale()
		return Copy[V]{Value: stored.Value, Source: freshness.FromStale}, true
	default:
		return Copy[V]{}, false
	}
}

// Fetch is Get for a caller that has looked up the stored copy itself: the store is not read again before KOS is asked,
// unless another question about the subject has ended since.
func (c *Copies[V]) Fetch(ctx context.Context, q Query[V], stored Stored[V]) (Copy[V], error) {
	if stored.IsFresh() {
		return Copy[V]{Value: stored.Value, Source: freshness.FromCache}, nil
	}
	if stored.State == freshness.Stale {
		q.Policy.Attempts = min(q.Policy.Attempts, 1) // a stale copy is better than waiting for a second try
	}
	got, waited, err := Copy[V]{}, false, c.CheckAllowance(ctx, q)
	if err == nil {
		got, waited, err = c.join(ctx, q, stored)
	}
	switch {
	case err != nil && stored.State == freshness.Stale && q.Source.MayServeStale(err, got.Attempts):
		c.Tally.Stale()
		return Copy[V]{Value: stored.Value, Source: freshness.FromStale, Attempts: got.Attempts}, nil
	case waited:
		c.Tally.Coalesced()
	case got.Source == freshness.FromCache:
		c.Tally.Hit()
	default:
		c.Tally.Miss()
	}
	return got, err
}

// CheckAllowance returns RATE_LIMIT_EXCEEDED when the payer's allowance is spent and KOS would have to be asked for the
// query. Waiting for a question that is under way costs nothing.
func (c *Copies[V]) CheckAllowance(ctx context.Context, q Query[V]) error {
	if c.isFree(q) || q.Call.Payer.Accepted {
		return nil
	}
	c.mu.Lock()
	underWay := c.flights[q.Subject] != nil
	c.mu.Unlock()
	if underWay {
		return nil
	}
	return c.Allowances.Check(ctx, q.Call.Payer.Customer)
}

// isFree reports whether the calls for the query are taken from no allowance.
func (c *Copies[V]) isFree(q Query[V]) bool {
	return c.Allowances == nil || q.Call.Payer.Customer == ""
}

// RefreshInBackground asks for a new copy in the lane of refreshes, unless a question about the subject is under way.
// No caller waits for it; the query's payer pays for it.
func (c *Copies[V]) RefreshInBackground(ctx context.Context, q Query[V]) {
	c.refresh(ctx, q, Stored[V]{})
}

// refreshAhead refreshes a copy while it is still fresh. It is taken from no allowance.
func (c *Copies[V]) refreshAhead(ctx context.Context, q Query[V], stored Stored[V]) {
	q.Call.Payer = ports.Payer{}
	c.refresh(ctx, q, stored)
}

func (c *Copies[V]) refresh(ctx context.Context, q Query[V], stored Stored[V]) {
	q.Policy.Lane, q.Policy.Attempts, q.Policy.MaxWait = quota.Refresh, 1, 0
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[q.Subject] == nil && c.refreshing < maxRefreshes {
		c.refreshing++
		c.start(ctx, q, stored.readAt, true)
	}
}

// Wait blocks until no question is under way; call it after the last query.
func (c *Copies[V]) Wait() { c.running.Wait() }

// read reads the store once and judges what it holds. missing reports that the store holds no copy.
func (c *Copies[V]) read(
	ctx context.Context, q Query[V], read func(context.Context) (V, error),
) (stored Stored[V], missing bool) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	stored = Stored[V]{State: freshness.Gone, readAt: c.Now()}
	value, err := read(ctx)
	if err != nil {
		return stored, errors.Is(err, fault.New(fault.ResourceNotFound))
	}
	stored.Value, stored.State = value, q.Source.State(value, q.Since, c.Now(), c.Random())
	return stored, false
}

// join waits for the flight about the subject, starting one if there is none. A flight that began too early for the
// query, or that gave up where the query would not have, is followed by another. waited says that another caller's
// question brought the answer.
func (c *Copies[V]) join(ctx context.Context, q Query[V], stored Stored[V]) (got Copy[V], waited bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, q.maxWait())
	defer cancel()
	for {
		f, started := c.joinOrStart(ctx, q, stored)
		if !started {
			q.Call.Sent()
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			if started { // its result is not known, but the calls that it has begun are
				return Copy[V]{Attempts: max(1, int(f.tries.Load()))}, false, timeoutError(ctx)
			}
			return Copy[V]{Attempts: 1}, true, timeoutError(ctx)
		}
		if started {
			return f.answer, f.waited, f.err
		}
		if got, ok := c.resultFor(ctx, q, f); ok {
			return got, true, f.err
		}
	}
}

// maxWait is how long the caller waits.
func (q Query[V]) maxWait() time.Duration {
	if q.Policy.MaxWait > 0 {
		return q.Policy.MaxWait
	}
	return q.Policy.Timeout + grace
}

// resultFor returns the result of a flight to a caller that joined it; false when it needs another. The customer may
// have changed something meanwhile (ADR 6), so the store must still hold the copy. Where the copy could not be stored,
// or the store cannot be read, the flight's own answer is the best there is.
func (c *Copies[V]) resultFor(ctx context.Context, q Query[V], f *flight[V]) (got Copy[V], ok bool) {
	if !f.serves(q) {
		return got, false
	}
	if f.err != nil || !f.stored {
		return f.answer, true
	}
	value, err := q.Source.Read(ctx)
	if err != nil {
		return f.answer, !errors.Is(err, fault.New(fault.ResourceNotFound))
	}
	got = f.answer
	got.Value = value
	return got, q.Source.State(value, q.Since, c.Now(), c.Random()) >= freshness.RefreshDue
}

// timeoutError is the error of a query whose time is over, or whose caller has gone.
func timeoutError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.New(fault.ServiceUnavailable).RetryIn(retryAfterTimeout).
			Because(errors.Join(ports.ErrNoAnswer, ctx.Err()))
	}
	return ctx.Err()
}

// joinOrStart returns the flight about the subject that is under way, or a new one that the caller has started.
func (c *Copies[V]) joinOrStart(ctx context.Context, q Query[V], stored Stored[V]) (f *flight[V], started bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[q.Subject]; f != nil {
		return f, false
	}
	return c.start(ctx, q, stored.readAt, false), true
}

// start starts a flight; the caller holds mu. Others may wait for it when its first caller has gone.
func (c *Copies[V]) start(ctx context.Context, q Query[V], readAt time.Time, early bool) *flight[V] {
	if c.flights == nil {
		c.flights = map[freshness.Subject]*flight[V]{}
	}
	f := &flight[V]{
		began: c.Now(), lane: q.Policy.Lane, payer: q.Call.Payer, timeout: q.Policy.Timeout, early: early, readAt: readAt,
		done: make(chan struct{}),
	}
	c.flights[q.Subject] = f
	c.running.Go(func() {
		defer c.finish(q.Subject, f)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.Policy.Timeout)
		defer cancel()
		c.run(ctx, q, f)
	})
	return f
}

// finish ends a flight, also one that panicked: those who wait for it get the panic as an error.
func (c *Copies[V]) finish(subject freshness.Subject, f *flight[V]) {
	if r := recover(); r != nil {
		f.answer, f.err = Copy[V]{}, fmt.Errorf("copies: panic: %v\n%s", r, debug.Stack())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.early {
		c.refreshing--
	}
	delete(c.flights, subject)
	close(f.done)
}
