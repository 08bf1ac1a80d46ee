package copies

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/quota"
	"phonebill/ports"
)

// flight is one question to KOS that all callers of this process wait for who want to know the same (single flight).
type flight[V any] struct {
	began   time.Time
	lane    quota.Lane
	timeout time.Duration
	payer   ports.Payer
	early   bool         // it refreshes a copy that is still fresh, which therefore does not end the flight
	readAt  time.Time    // when the store was last read for it; zero = it may hold a newer copy than is known
	tries   atomic.Int32 // calls begun

	answer Copy[V] // this and the rest are to be read when done is closed
	waited bool    // another process brought the answer
	stored bool    // the store has taken the copy
	err    error
	done   chan struct{}
}

// serves reports whether the flight's result serves the query too. What the flight gave up, for want of quota in a
// lesser lane, of its payer's allowance or of time, a query that has them may still have.
func (f *flight[V]) serves(q Query[V]) bool {
	lesser := f.lane > q.Policy.Lane && errors.Is(f.err, ports.ErrNotAsked) ||
		f.timeout < q.Policy.Timeout && errors.Is(f.err, ports.ErrNoAnswer)
	unpaid := f.payer != q.Call.Payer && errors.Is(f.err, fault.New(fault.RateLimitExceeded))
	return !f.began.Before(q.Since) && !lesser && !unpaid
}

// remaining is how much of the flight's time is left at now.
func (f *flight[V]) remaining(now time.Time) time.Duration { return f.began.Add(f.timeout).Sub(now) }

// Another process's flight is polled soon at first, for some KOS calls take 0.1 s, and then less often.
const (
	minPollInterval = 10 * time.Millisecond
	maxPollInterval = 100 * time.Millisecond
)

// run brings the flight to its end. The right to ask is leased from all processes; when the leases cannot be reached,
// that costs at worst one call to KOS per process.
func (c *Copies[V]) run(ctx context.Context, q Query[V], f *flight[V]) {
	interval := minPollInterval
	for {
		lease, err := c.Flights.Begin(ctx, q.Subject, q.Policy.Timeout+ports.RecordTimeout)
		if err != nil { // whether the store holds a new copy is not known either
			lease, f.readAt = freshness.Flight{}, time.Time{}
		}
		if lease.State == freshness.Refused && lease.At.Before(q.Since) { // a refusal from before the query does not count
			lease = freshness.Flight{}
		}
		again := false
		switch lease.State {
		case freshness.Granted:
			again = c.askOnce(ctx, q, f, lease)
		case freshness.Pending:
			again = c.poll(ctx, q, f, interval)
			interval = min(2*interval, maxPollInterval)
		case freshness.Resting:
			again = c.rest(ctx, q, f, lease)
		case freshness.Refused:
			f.answer.Source, f.err = freshness.FromCache, fault.New(lease.Refusal)
		}
		if !again {
			return
		}
	}
}

// askOnce makes the one call that the lease allows and gives the lease back. It returns true when KOS has failed and
// there is time to try again.
func (c *Copies[V]) askOnce(ctx context.Context, q Query[V], f *flight[V], lease freshness.Flight) (again bool) {
	if f.mayHaveMissed(lease) && c.foundFresh(ctx, q, f) {
		c.note(ctx, q, lease, freshness.Stored(c.Now()))
		return false
	}
	tries := int(f.tries.Add(1))
	f.waited = false
	q.Call.Lane, q.Call.Attempt = q.Policy.Lane, q.PriorAttempts+tries
	answer, err := c.askPaid(ctx, q)
	if !errors.Is(err, ports.ErrNotAsked) {
		f.answer.Attempts++
	}
	outcome := c.outcomeOf(err, lease.Failures)
	if err == nil {
		f.answer.Value, f.answer.Source = answer, freshness.FromKOS
		failed := c.store(ctx, q, answer)
		if f.stored = failed == nil; f.stored {
			outcome = freshness.Stored(c.Now())
		}
		if q.Policy.Durable {
			err = failed
		}
	}
	f.err = err
	c.note(ctx, q, lease, outcome)
	return errors.Is(err, ports.ErrTransient) && tries < q.Policy.Attempts &&
		outcome.For < f.remaining(c.Now())/2 && pause(ctx, outcome.For)
}

// mayHaveMissed reports whether another flight about the subject may have stored a copy that the last read of the store
// did not find.
func (f *flight[V]) mayHaveMissed(lease freshness.Flight) bool {
	return f.readAt.IsZero() || !lease.At.Before(f.readAt.Add(-freshness.Skew))
}

// foundFresh reads the store and ends the flight when another one has stored a fresh copy.
func (c *Copies[V]) foundFresh(ctx context.Context, q Query[V], f *flight[V]) bool {
	stored, _ := c.read(ctx, q, q.Source.ReadCommitted)
	f.readAt = stored.readAt
	if !stored.IsFresh() || stored.State == freshness.RefreshDue && f.early {
		return false
	}
	f.waited, f.stored, f.err = true, true, nil
	f.answer = Copy[V]{Value: stored.Value, Source: freshness.FromKOS, Attempts: max(1, f.answer.Attempts)}
	return true
}

// poll waits for another process and then reads the store. It returns false when the flight has ended.
func (c *Copies[V]) poll(ctx context.Context, q Query[V], f *flight[V], interval time.Duration) (again bool) {
	if f.early {
		f.err = fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNotAsked, errPending))
		return false
	}
	f.waited = true
	q.Call.Sent()
	if !pause(ctx, interval) {
		f.answer.Attempts, f.err = max(1, f.answer.Attempts), timeoutError(ctx)
		return false
	}
	return !c.foundFresh(ctx, q, f)
}

// rest waits until KOS may be asked again if there will be time for an answer. It returns false when the flight has
// ended.
func (c *Copies[V]) rest(ctx context.Context, q Query[V], f *flight[V], lease freshness.Flight) (again bool) {
	now := c.Now()
	wait := lease.Until.Sub(now)
	if int(f.tries.Load()) < q.Policy.Attempts && wait < f.remaining(now)/2 && pause(ctx, wait) {
		return true
	}
	f.answer.Attempts = max(1, f.answer.Attempts) // a call was made a moment ago, by this flight or by another
	if f.err == nil {
		f.err = fault.New(fault.ServiceUnavailable).RetryIn(wait).Because(errPaused)
	}
	return false
}

var (
	// errPaused is the cause of a query that KOS is not asked for because it has just failed on the subject.
	errPaused = errors.New("kos has failed on this a moment ago")
	// errPending is the cause of a refresh that another process is making.
	errPending = errors.New("another process is asking")
)

// askPaid makes one call, taken from the payer's allowance. A call that was not made is given back.
func (c *Copies[V]) askPaid(ctx context.Context, q Query[V]) (answer V, err error) {
	if c.isFree(q) {
		return q.Source.Ask(ctx, q.Call)
	}
	payer := q.Call.Payer
	prepaid := payer.Prepaid.Take()
	switch {
	case prepaid: // it was counted when the request was accepted
	case payer.Accepted:
		c.Allowances.Count(ctx, payer.Customer)
	default:
		if err := c.Allowances.Spend(ctx, payer.Customer); err != nil {
			return answer, err
		}
	}
	answer, err = q.Source.Ask(ctx, q.Call)
	switch {
	case !errors.Is(err, ports.ErrNotAsked):
	case prepaid:
		payer.Prepaid.Return()
	default:
		c.Allowances.GiveBack(context.WithoutCancel(ctx), payer.Customer)
	}
	return answer, err
}

func (c *Copies[V]) store(ctx context.Context, q Query[V], answer V) error {
	ctx, cancel := ports.RecordContext(ctx)
	defer cancel()
	return q.Source.Store(ctx, answer)
}

// note gives the lease back with the outcome. Should that fail, the lease ends by itself.
func (c *Copies[V]) note(ctx context.Context, q Query[V], lease freshness.Flight, outcome freshness.Outcome) {
	ctx, cancel := ports.RecordContext(ctx)
	defer cancel()
	_ = c.Flights.Finish(ctx, q.Subject, lease.Token, outcome)
}

// outcomeOf is what others should know of the call. A KOS that is slow is no reason to leave it alone, one call at a
// time; neither is a breaker, or a budget that is used up: those state themselves when to come again. They undo no
// failures from before.
func (c *Copies[V]) outcomeOf(err error, failures int) freshness.Outcome {
	f, now := fault.From(err), c.Now()
	switch {
	case err == nil:
		return freshness.Outcome{}
	case errors.Is(err, ports.ErrNoAnswer), errors.Is(err, ports.ErrNotAsked) && f.RetryAfter() > 0:
		return freshness.NoNews(failures, now)
	case f.Kind() == fault.NotFound:
		return freshness.RefusedBy(f.Code(), now)
	default:
		return freshness.FailedAfter(failures, now, c.Random(), f.RetryAfter())
	}
}

// pause waits; it returns false when ctx is over before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
