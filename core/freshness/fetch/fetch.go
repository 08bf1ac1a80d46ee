// Package fetch brings copies of what KOS says: from memory while they are fresh, else by asking KOS, once at a time about one subject
// however many want to know, in this process and in all others.
package fetch

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

// Question is what somebody wants to know, and what he would give for it.
type Question[V any] struct {
	Subject  freshness.Subject
	Since    time.Time     // nothing that KOS was asked before will do (ADR 22); zero = any age that Judge allows
	Lane     quota.Lane    // of Ask
	Patience time.Duration // of the question, in all
	Wait     time.Duration // of who asks it: later nobody waits, and it goes on for those who come next; 0 = as long as it takes
	Attempts int           // calls of KOS at most
	Tried    int           // calls that were made for it before, for the call log
	Payer    ports.Payer   // whose allowance pays for the calls of Ask; those of Renew are free

	Latest func(ctx context.Context) (V, error)                            // the last good copy; any error counts as none
	Kept   func(ctx context.Context) (V, error)                            // the same past any cache, for a last look before KOS is asked
	Judge  func(held V, since, now time.Time, rnd float64) freshness.State // what it is worth
	Ask    func(ctx context.Context) (V, error)                            // asks KOS once
	Renew  func(ctx context.Context) (V, error)                            // the same in the lane of refreshes; nil = not before it is old
	Keep   func(ctx context.Context, told V) error                         // makes it the last good copy

	Durable bool // an answer that cannot be kept is none

	// Old tells that an old copy is the answer after that trouble (ADR 23). attempts were made for this question.
	Old func(trouble error, attempts int) bool
}

// Answer is what a question came to.
type Answer[V any] struct {
	Copy     V
	Source   freshness.Source
	Attempts int // calls of KOS that failed or brought it, also somebody else's that was waited for
}

// Service answers questions of one kind. It is safe for concurrent use; the zero value of what is not exported is ready.
type Service[V any] struct {
	Flights    ports.Flights
	Allowances ports.Allowances // of the customers; nil = without a limit
	Tally      freshness.Tally
	Now        ports.Clock
	Random     ports.Random

	mu       sync.Mutex
	flying   map[freshness.Subject]*flight[V]
	renewing int
	running  sync.WaitGroup
}

const (
	// grace is how much longer than its patience a question waits, for a flight of the same patience to tell how it ended.
	grace = 200 * time.Millisecond
	// renewals is how many copies are renewed early at a time. One that finds no place is renewed when it is old.
	renewals = 16
	// looking is how long a look at what is held may take; then nothing is held. A busy store may take its time, for a call of KOS is
	// dearer, and an old copy better than none; one that hangs must leave time for KOS.
	looking = time.Second
)

// Hit answers a fresh copy from memory, and sees to it that a copy much asked for is renewed before it is old.
func (s *Service[V]) Hit(ctx context.Context, q Question[V]) (V, bool) {
	held, state := s.look(ctx, q)
	return held, s.hit(ctx, q, state)
}

// Held answers a copy from memory that may be shown, be it stale, and how it is to be labelled. It is for those who cannot ask.
func (s *Service[V]) Held(ctx context.Context, q Question[V]) (Answer[V], bool) {
	held, state := s.look(ctx, q)
	switch {
	case s.hit(ctx, q, state):
		return Answer[V]{Copy: held, Source: freshness.FromCache}, true
	case state == freshness.Stale:
		s.Tally.Stale()
		return Answer[V]{Copy: held, Source: freshness.FromStale}, true
	default:
		return Answer[V]{}, false
	}
}

func (s *Service[V]) hit(ctx context.Context, q Question[V], state freshness.State) bool {
	if state < freshness.Early {
		return false
	}
	if state == freshness.Early && q.Renew != nil {
		s.renewEarly(ctx, q)
	}
	s.Tally.Hit()
	return true
}

func (s *Service[V]) look(ctx context.Context, q Question[V]) (V, freshness.State) {
	return s.judge(ctx, q, q.Latest)
}

func (s *Service[V]) judge(ctx context.Context, q Question[V], latest func(context.Context) (V, error)) (V, freshness.State) {
	ctx, cancel := context.WithTimeout(ctx, looking)
	defer cancel()
	held, err := latest(ctx)
	if err != nil {
		return held, freshness.Gone
	}
	return held, q.Judge(held, q.Since, s.Now(), s.Random())
}

// Get answers from memory, else from KOS, else with an old copy where Old allows it. Trouble is what Ask errs with;
// SERVICE_UNAVAILABLE with a Retry-After when KOS has failed on the subject so often that it is left alone;
// RATE_LIMIT_EXCEEDED when the payer's allowance is spent; ErrNoAnswer when patience is over. The answer's Attempts
// count with an error too.
func (s *Service[V]) Get(ctx context.Context, q Question[V]) (Answer[V], error) {
	held, state := s.look(ctx, q)
	if s.hit(ctx, q, state) {
		return Answer[V]{Copy: held, Source: freshness.FromCache}, nil
	}
	if state == freshness.Stale {
		q.Attempts = min(q.Attempts, 1) // there is something to show: nobody waits for a second try
	}
	got, waited, err := Answer[V]{}, false, s.MayAsk(ctx, q)
	if err == nil {
		got, waited, err = s.fly(ctx, q)
	}
	switch {
	case err != nil && state == freshness.Stale && q.Old != nil && q.Old(err, got.Attempts):
		s.Tally.Stale()
		return Answer[V]{Copy: held, Source: freshness.FromStale, Attempts: got.Attempts}, nil
	case waited:
		s.Tally.Coalesced()
	case got.Source == freshness.FromCache:
		s.Tally.Hit()
	default:
		s.Tally.Miss()
	}
	return got, err
}

// MayAsk returns RATE_LIMIT_EXCEEDED when the payer has spent the allowance and the question would have to be asked for
// it. To wait for a question that is under way costs nothing.
func (s *Service[V]) MayAsk(ctx context.Context, q Question[V]) error {
	if s.free(q) || q.Payer.Accepted {
		return nil
	}
	s.mu.Lock()
	flying := s.flying[q.Subject] != nil
	s.mu.Unlock()
	if flying {
		return nil
	}
	return s.Allowances.Check(ctx, q.Payer.Customer)
}

// free reports that the calls for the question are taken from no allowance.
func (s *Service[V]) free(q Question[V]) bool { return s.Allowances == nil || q.Payer.Customer == "" }

// fly waits for the flight about the subject, setting one off if there is none. One that began too early for the question, or that gave up
// where the question would not have, is followed by another.
func (s *Service[V]) fly(ctx context.Context, q Question[V]) (got Answer[V], waited bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, q.wait())
	defer cancel()
	for {
		f, mine := s.board(ctx, q)
		if !mine {
			ports.Sent(ctx)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			if mine { // its end is not known, but what it has begun
				return Answer[V]{Attempts: max(1, int(f.tries.Load()))}, false, late(ctx)
			}
			return Answer[V]{Attempts: 1}, true, late(ctx)
		}
		if mine {
			return f.answer, f.waited, f.err
		}
		if got, ok := s.joined(ctx, q, f); ok {
			return got, true, f.err
		}
	}
}

// wait is how long the asker waits.
func (q Question[V]) wait() time.Duration {
	if q.Wait > 0 {
		return q.Wait
	}
	return q.Patience + grace
}

// joined answers what the flight brought to somebody who joined it. His own change may have come between (ADR 6): the copy must still
// be what the store shows. Where the store could not be told, or cannot be asked, there is nothing better than the flight's own answer.
func (s *Service[V]) joined(ctx context.Context, q Question[V], f *flight[V]) (got Answer[V], ok bool) {
	if !f.serves(q) {
		return got, false
	}
	if f.err != nil || !f.kept {
		return f.answer, true
	}
	held, err := q.Latest(ctx)
	if err != nil {
		return f.answer, !errors.Is(err, fault.New(fault.ResourceNotFound))
	}
	got = f.answer
	got.Copy = held
	return got, q.Judge(held, q.Since, s.Now(), s.Random()) >= freshness.Early
}

// comeAgain is when one whose time was over before the answer came should ask again. A question that goes on is then
// joined, or answered.
const comeAgain = 3 * time.Second

// late is the error of a question whose patience is over, or whose asker has gone.
func late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.New(fault.ServiceUnavailable).RetryIn(comeAgain).Because(errors.Join(ports.ErrNoAnswer, ctx.Err()))
	}
	return ctx.Err()
}

// Refresh asks for a new copy for whoever comes next, in the lane of refreshes, unless it is being asked for; nobody waits for it.
// The question's payer pays for it.
func (s *Service[V]) Refresh(ctx context.Context, q Question[V]) { s.renew(ctx, q) }

// renewEarly asks for a new copy while the old one is still good. It is taken from no allowance.
func (s *Service[V]) renewEarly(ctx context.Context, q Question[V]) {
	q.Payer = ports.Payer{}
	s.renew(ctx, q)
}

func (s *Service[V]) renew(ctx context.Context, q Question[V]) {
	q.Ask, q.Lane, q.Attempts, q.Wait = q.Renew, quota.Refresh, 1, 0
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flying[q.Subject] == nil && s.renewing < renewals {
		s.renewing++
		s.depart(ctx, q, true)
	}
}

// board answers the flight about the subject that is under way, or a new one, which is then the caller's.
func (s *Service[V]) board(ctx context.Context, q Question[V]) (f *flight[V], mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flying[q.Subject]; f != nil {
		return f, false
	}
	return s.depart(ctx, q, false), true
}

// depart sets a flight off, under the lock. Others may wait for it when its first asker has gone.
func (s *Service[V]) depart(ctx context.Context, q Question[V], early bool) *flight[V] {
	if s.flying == nil {
		s.flying = map[freshness.Subject]*flight[V]{}
	}
	f := &flight[V]{began: s.Now(), lane: q.Lane, payer: q.Payer, patience: q.Patience, early: early, done: make(chan struct{})}
	s.flying[q.Subject] = f
	s.running.Go(func() {
		defer s.landed(q.Subject, f)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.Patience)
		defer cancel()
		s.cross(ctx, q, f)
	})
	return f
}

// landed ends a flight, also one that panicked: those who wait for it hear of it, as they would of their own.
func (s *Service[V]) landed(subject freshness.Subject, f *flight[V]) {
	if r := recover(); r != nil {
		f.answer, f.err = Answer[V]{}, fmt.Errorf("fetch: panic: %v\n%s", r, debug.Stack())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.early {
		s.renewing--
	}
	delete(s.flying, subject)
	close(f.done)
}

// Wait returns when nothing is asked any more; call it after the last question.
func (s *Service[V]) Wait() { s.running.Wait() }
