package inquiry

import (
	"context"
	"time"

	"phonebill/core/bill"
	"phonebill/core/fault"
)

// looking is how long the last good copy is looked for where nothing else can answer: a cache that is left alone after a hiccup comes back
// within it.
const looking = time.Second

// hiccup is how often it is looked for meanwhile.
const hiccup = 200 * time.Millisecond

// unqueued answers with the last good copy in memory where the inquiry could not be queued: KOS is asked for nobody whose question could
// be lost (decision 15). The row may be stored all the same, so what the customer is told ends it, a refusal too: else it would be worked
// on.
func (s *Service) unqueued(ctx context.Context, q bill.Inquiry, cause error) (Result, error) {
	if fault.From(cause).Kind() != fault.Unavailable {
		return Result{}, cause
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), looking) // queueing may have used up the customer's time
	defer cancel()
	tick := time.NewTicker(hiccup)
	defer tick.Stop()
	for {
		if got, ok := s.Fetch.Held(within, s.question(q, true)); ok {
			q = q.Complete(got.Copy, got.Source, s.Now())
			return Result{q, &got.Copy.Bill}, troubled(q, s.record(ctx, q))
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

// refused records that the inquiry failed, if anything can; it is told in any case.
func (s *Service) refused(ctx context.Context, q bill.Inquiry, cause error) error {
	if err := s.record(ctx, q.Fail(fault.ServiceUnavailable, s.Now())); fault.From(err).Unexpected() {
		s.Report(ctx, err)
	}
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
