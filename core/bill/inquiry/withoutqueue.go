package inquiry

import (
	"context"
	"time"

	"phonebill/core/bill"
	"phonebill/core/fault"
)

const (
	// fallbackTimeout is how long the stored copy is looked for where nothing else can answer: a cache that is left alone
	// after one failure comes back within it.
	fallbackTimeout = time.Second
	// answerReserve is what is left of the answer budget when that ends, if queueing has left so much.
	answerReserve = 100 * time.Millisecond
	// fallbackInterval is how often the copy is looked for meanwhile, and the least time that one lookup has.
	fallbackInterval = 200 * time.Millisecond
)

// fallbackTime is how long the stored copy of the inquiry is looked for, from now on.
func (s *Service) fallbackTime(q bill.Inquiry) time.Duration {
	return max(min(fallbackTimeout, s.remaining(q.RequestedAt)-answerReserve), fallbackInterval)
}

// answerWithoutQueue returns a stored copy where the inquiry could not be queued: KOS is not asked for a request
// that could be lost (ADR 24). The row may be stored all the same, so the customer's answer ends it, also when it is a
// refusal; else the background would work on it.
func (s *Service) answerWithoutQueue(ctx context.Context, q bill.Inquiry, cause error) (Result, error) {
	if fault.From(cause).Kind() != fault.Unavailable {
		return Result{}, cause
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.fallbackTime(q)) // ctx may be over by now
	defer cancel()
	tick := time.NewTicker(fallbackInterval)
	defer tick.Stop()
	for {
		if got, ok := s.Copies.GetStored(within, s.query(q, true)); ok {
			q = q.Complete(got.Value, got.Source, s.Now())
			return Result{Inquiry: q, Bill: &got.Value.Bill}, toCustomerError(q, s.record(ctx, q))
		}
		if ctx.Err() != nil {
			return Result{}, s.recordRefusal(ctx, q, cause)
		}
		select {
		case <-tick.C:
		case <-within.Done():
			return Result{}, s.recordRefusal(ctx, q, cause)
		}
	}
}

// recordRefusal records that the inquiry failed, if that is possible, and returns the customer's error in any case, and
// in time.
func (s *Service) recordRefusal(ctx context.Context, q bill.Inquiry, cause error) error {
	s.withinBudget(q.RequestedAt, func() {
		if err := s.record(ctx, q.Fail(fault.ServiceUnavailable, s.Now())); fault.From(err).Unexpected() {
			s.Report(ctx, err)
		}
	})
	return toCustomerError(q, cause)
}

// recordTimeout is how long the customer's answer may take to be recorded.
const recordTimeout = time.Second

// record stores the customer's answer to an inquiry that may be stored unfinished. The budget may be over.
func (s *Service) record(ctx context.Context, q bill.Inquiry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return s.Inquiries.Add(ctx, q)
}

// withinBudget does what follows from a refusal, and waits for it while the customer who came at since has time, for
// the next request may build on it. It goes on after that: a store that hangs does not keep the answer back.
func (s *Service) withinBudget(since time.Time, do func()) {
	done := make(chan struct{})
	s.running.Go(func() {
		defer close(done)
		do()
	})
	timer := time.NewTimer(s.remaining(since))
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
