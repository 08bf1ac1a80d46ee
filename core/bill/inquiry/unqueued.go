package inquiry

import (
	"context"
	"time"

	"phonebill/core/bill"
	"phonebill/core/fault"
)

const (
	// looking is how long the last good copy is looked for where nothing else can answer: a cache that is left alone after a hiccup comes
	// back within it.
	looking = time.Second
	// reserve is what is left of the customer's time when the look ends, if queueing has left so much.
	reserve = 100 * time.Millisecond
	// hiccup is how often the copy is looked for meanwhile, and the least time that one look has.
	hiccup = 200 * time.Millisecond
)

// lookFor is how long the last good copy of the inquiry is looked for, from now on.
func (s *Service) lookFor(q bill.Inquiry) time.Duration {
	return max(min(looking, s.left(q.RequestedAt)-reserve), hiccup)
}

// unqueued answers with the last good copy in memory where the inquiry could not be queued: KOS is asked for nobody whose question could
// be lost (ADR 24). The row may be stored all the same, so what the customer is told ends it, a refusal too: else it would be worked
// on.
func (s *Service) unqueued(ctx context.Context, q bill.Inquiry, cause error) (Result, error) {
	if fault.From(cause).Kind() != fault.Unavailable {
		return Result{}, cause
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.lookFor(q)) // queueing may have used up the customer's time
	defer cancel()
	tick := time.NewTicker(hiccup)
	defer tick.Stop()
	for {
		if got, ok := s.Fetch.Held(within, s.question(q, true)); ok {
			q = q.Complete(got.Copy, got.Source, s.Now())
			return Result{Inquiry: q, Bill: &got.Copy.Bill}, troubled(q, s.record(ctx, q))
		}
		if ctx.Err() != nil {
			return Result{}, s.refused(ctx, q, cause)
		}
		select {
		case <-tick.C:
		case <-within.Done():
			return Result{}, s.refused(ctx, q, cause)
		}
	}
}

// refused records that the inquiry failed, if anything can; it is told in any case, and in time.
func (s *Service) refused(ctx context.Context, q bill.Inquiry, cause error) error {
	s.afterwards(q.RequestedAt, func() {
		if err := s.record(ctx, q.Fail(fault.ServiceUnavailable, s.Now())); fault.From(err).Unexpected() {
			s.Report(ctx, err)
		}
	})
	return troubled(q, cause)
}

// recording is how long what the customer is told may take to be recorded.
const recording = time.Second

// record stores what the customer is told of an inquiry that may be stored unfinished. His time may be over.
func (s *Service) record(ctx context.Context, q bill.Inquiry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recording)
	defer cancel()
	return s.Inquiries.Add(ctx, q)
}

// left is what is left of the time of a customer who came at since.
func (s *Service) left(since time.Time) time.Duration { return s.Limits.Answer - s.Now().Sub(since) }

// afterwards does what follows from a refusal. The customer who came at since waits for it while he has time, for what he does next may
// build on it; a store that hangs does not keep his answer back.
func (s *Service) afterwards(since time.Time, do func()) {
	done := make(chan struct{})
	s.running.Go(func() {
		defer close(done)
		do()
	})
	timer := time.NewTimer(s.left(since))
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
