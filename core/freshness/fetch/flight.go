package fetch

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

// flight is a question to KOS that all of this process wait for who want to know the same.
type flight[V any] struct {
	began    time.Time
	lane     quota.Lane
	patience time.Duration
	payer    ports.Payer
	early    bool         // the copy held is still good: it does not end the flight
	tries    atomic.Int32 // calls begun

	answer Answer[V] // this and the rest: to be read when done is closed
	waited bool      // for another process
	kept   bool      // the store has taken the copy
	err    error
	done   chan struct{}
}

// serves tells that what the flight came to answers the question too. What it gave up, for want of quota in a lesser
// lane, of its payer's allowance or of patience, a question that has them may still have.
func (f *flight[V]) serves(q Question[V]) bool {
	lesser := f.lane > q.Lane && errors.Is(f.err, ports.ErrNotAsked) || f.patience < q.Patience && errors.Is(f.err, ports.ErrNoAnswer)
	unpaid := f.payer != q.Payer && errors.Is(f.err, fault.New(fault.RateLimitExceeded))
	return !f.began.Before(q.Since) && !lesser && !unpaid
}

// left is how much patience there is, now.
func (f *flight[V]) left(now time.Time) time.Duration { return f.began.Add(f.patience).Sub(now) }

// How often another process's flight is looked at: soon at first, for some KOS calls take 0.1 s.
const (
	firstLook = 10 * time.Millisecond
	lastLook  = 100 * time.Millisecond
)

// cross brings the flight to its end. The turn to ask is leased from all processes; a cache that cannot be asked about turns costs at worst
// one call of KOS per process.
func (s *Service[V]) cross(ctx context.Context, q Question[V], f *flight[V]) {
	look := firstLook
	for {
		turn, err := s.Flights.Begin(ctx, q.Subject, q.Patience+ports.RecordTimeout)
		if err != nil || turn.State == freshness.Refused && turn.At.Before(q.Since) { // a no from before the question does not count
			turn = freshness.Flight{}
		}
		again := false
		switch turn.State {
		case freshness.Mine:
			again = s.mine(ctx, q, f, turn)
		case freshness.Theirs:
			again = s.theirs(ctx, q, f, look)
			look = min(2*look, lastLook)
		case freshness.Resting:
			again = s.resting(ctx, q, f, turn)
		case freshness.Refused:
			f.answer.Source, f.err = freshness.FromCache, fault.New(turn.Refusal)
		}
		if !again {
			return
		}
	}
}

// found ends the flight when somebody has brought a good copy since its question was asked. A cache may not know it yet.
func (s *Service[V]) found(ctx context.Context, q Question[V], f *flight[V]) bool {
	held, state := s.judge(ctx, q, q.Kept)
	if state < freshness.Early || state == freshness.Early && f.early {
		return false
	}
	f.waited, f.kept, f.err = true, true, nil
	f.answer = Answer[V]{Copy: held, Source: freshness.FromKOS, Attempts: max(1, f.answer.Attempts)}
	return true
}

// theirs waits a little for another process; false ends the flight.
func (s *Service[V]) theirs(ctx context.Context, q Question[V], f *flight[V], look time.Duration) (again bool) {
	if f.early {
		f.err = fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNotAsked, errTheirs))
		return false
	}
	f.waited = true
	ports.Sent(ctx)
	if !pause(ctx, look) {
		f.answer.Attempts, f.err = max(1, f.answer.Attempts), late(ctx)
		return false
	}
	return !s.found(ctx, q, f)
}

// resting waits when there will be time for an answer afterwards; false ends the flight.
func (s *Service[V]) resting(ctx context.Context, q Question[V], f *flight[V], turn freshness.Flight) (again bool) {
	now := s.Now()
	wait := turn.Until.Sub(now)
	if int(f.tries.Load()) < q.Attempts && wait < f.left(now)/2 && pause(ctx, wait) {
		return true
	}
	f.answer.Attempts = max(1, f.answer.Attempts) // somebody's, a moment ago
	if f.err == nil {
		f.err = fault.New(fault.ServiceUnavailable).RetryIn(wait).Because(errResting)
	}
	return false
}

var (
	// errResting is the cause of a question that KOS was not asked because it has just failed on it.
	errResting = errors.New("kos has failed on this a moment ago")
	// errTheirs is the cause of a renewal that another process is making.
	errTheirs = errors.New("another process is asking")
)

// mine makes the one call that the turn allows and gives the turn back; true when KOS has failed and there is time to try again.
func (s *Service[V]) mine(ctx context.Context, q Question[V], f *flight[V], turn freshness.Flight) (again bool) {
	if s.found(ctx, q, f) { // another flight landed between our look and our turn
		s.land(ctx, q, turn, freshness.Landing{})
		return false
	}
	tries := int(f.tries.Add(1))
	f.waited = false
	told, err := s.ask(ports.WithAttempt(ctx, q.Tried+tries), q)
	if !errors.Is(err, ports.ErrNotAsked) {
		f.answer.Attempts++
	}
	l := s.landing(err, turn.Failures)
	if err == nil {
		f.answer.Copy, f.answer.Source = told, freshness.FromKOS
		kept := s.keep(ctx, q, told)
		if f.kept = kept == nil; q.Durable {
			err = kept
		}
	}
	f.err = err
	s.land(ctx, q, turn, l)
	return errors.Is(err, ports.ErrTransient) && tries < q.Attempts && l.For < f.left(s.Now())/2 && pause(ctx, l.For)
}

// ask makes one call, paid for by the question's payer. A call that was not made is given back.
func (s *Service[V]) ask(ctx context.Context, q Question[V]) (told V, err error) {
	if s.free(q) {
		return q.Ask(ctx)
	}
	prepaid := q.Payer.Prepaid.Take()
	switch {
	case prepaid: // it was counted when the request was accepted
	case q.Payer.Accepted:
		s.Allowances.Count(ctx, q.Payer.Customer)
	default:
		if err := s.Allowances.Spend(ctx, q.Payer.Customer); err != nil {
			return told, err
		}
	}
	told, err = q.Ask(ctx)
	switch {
	case !errors.Is(err, ports.ErrNotAsked):
	case prepaid:
		q.Payer.Prepaid.Return()
	default:
		s.Allowances.GiveBack(context.WithoutCancel(ctx), q.Payer.Customer)
	}
	return told, err
}

func (s *Service[V]) keep(ctx context.Context, q Question[V], told V) error {
	ctx, cancel := ports.RecordContext(ctx)
	defer cancel()
	return q.Keep(ctx, told)
}

// land gives the turn back. Should that fail, the lease ends by itself.
func (s *Service[V]) land(ctx context.Context, q Question[V], turn freshness.Flight, l freshness.Landing) {
	ctx, cancel := ports.RecordContext(ctx)
	defer cancel()
	_ = s.Flights.Land(ctx, q.Subject, turn.Token, l)
}

// landing is what others should know of the call. A KOS that is slow is no reason to leave it alone, one call at a time; neither is a
// breaker, or a budget that is used up: those say themselves when to come again. They undo no failures from before.
func (s *Service[V]) landing(err error, failures int) freshness.Landing {
	f, now := fault.From(err), s.Now()
	switch {
	case err == nil:
		return freshness.Landing{}
	case errors.Is(err, ports.ErrNoAnswer), errors.Is(err, ports.ErrNotAsked) && f.RetryAfter() > 0:
		return freshness.Unasked(failures, now)
	case f.Kind() == fault.NotFound:
		return freshness.Refusing(f.Code(), now)
	default:
		return freshness.Failing(failures, now, s.Random(), f.RetryAfter())
	}
}

// pause waits; false when ctx is over before.
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
