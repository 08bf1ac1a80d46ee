package inquiry

import (
	"context"
	"errors"

	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness/copies"
	"phonebill/ports"
)

// No inquiry asks KOS more than bill.MaxAttempts times, whichever process dies meanwhile (ADR 19): each attempt is
// counted in the row before it is made. The customer's first is counted when the inquiry is queued, the customer's
// others one by one, those of the background by Claim. One that was not made is given back with the outcome.

// countAttempt is the inquiry with one attempt more.
func countAttempt(q bill.Inquiry) bill.Inquiry {
	q.Attempts++
	return q
}

// saveAttempt stores that KOS is asked once more while the customer waits. KOS is not asked what cannot be counted: the
// background goes on.
func (s *Service) saveAttempt(ctx context.Context, q bill.Inquiry, attempt int) error {
	if attempt <= q.Attempts+1 {
		return nil // it is counted
	}
	q.Attempts = attempt
	if err := s.Inquiries.Save(ctx, q); err != nil {
		f := fault.From(err)
		return fault.New(fault.ServiceUnavailable).RetryIn(max(f.RetryAfter(), bill.BackgroundGap)).
			Because(errors.Join(ports.ErrNotAsked, err))
	}
	return nil
}

// work makes the attempt that the inquiry was claimed for, and returns the error of saving its outcome. A worker that
// is stopped before it has begun gives the attempt back.
func (s *Service) work(ctx context.Context, q bill.Inquiry) error {
	q.Attempts-- // it is not made yet
	unstopped := context.WithoutCancel(ctx)
	switch {
	case q.Attempts >= bill.MaxAttempts:
		q.Attempts = bill.MaxAttempts
		return s.failExhausted(unstopped, q)
	case ctx.Err() != nil:
		q.NextAttemptAt = s.Now() // another worker may take it at once
		return s.save(ctx, q)
	default:
		return s.attempt(unstopped, q, false, s.Copies.Lookup(unstopped, s.query(q, false))).saved
	}
}

// failExhausted ends an inquiry whose attempts were made by workers that died before they saved the last outcome. A
// stored copy completes it.
func (s *Service) failExhausted(ctx context.Context, q bill.Inquiry) error {
	if got, ok := s.Copies.GetStored(ctx, s.storedQuery(q, false)); ok {
		return s.saveAnswer(ctx, q, got).saved
	}
	return s.save(ctx, s.after(q, fault.New(fault.ServiceUnavailable).Because(ports.ErrNoAnswer), false))
}

// outcome is what an attempt came to.
type outcome struct {
	Result

	err      error // what the customer is answered instead of the result
	saved    error // why the outcome could not be saved
	noAnswer bool  // KOS was asked and did not answer for as long as a customer waits
}

// attempt asks for the inquiry's bill and saves the outcome. Once begun it is completed, even when the customer
// leaves or the worker is stopped: the question to KOS goes on anyway, and only its end shows whether the attempt
// counts.
func (s *Service) attempt(
	ctx context.Context, q bill.Inquiry, interactive bool, stored copies.Stored[bill.Copy],
) outcome {
	ctx = context.WithoutCancel(ctx)
	query := s.query(q, interactive)
	within, cancel := context.WithTimeout(ctx, query.Policy.Timeout+leaseMargin) // later the lease is lost anyway
	defer cancel()
	got, err := s.Copies.Fetch(within, query, stored)
	// Calls of another caller that this one waited for are counted too; they may be more than an inquiry may make.
	q.Attempts = min(q.Attempts+got.Attempts, bill.MaxAttempts)
	if err = s.checkAnswer(within, q, got.Value, err); err != nil {
		return s.saveFailure(ctx, s.after(q, err, interactive), err)
	}
	return s.saveAnswer(ctx, q, got)
}

// after is what a failed attempt makes of the inquiry, its attempts counted.
func (s *Service) after(q bill.Inquiry, cause error, interactive bool) bill.Inquiry {
	f := fault.From(cause)
	return q.After(troubleOf(cause), f.Code(), interactive, f.RetryAfter(), s.Now())
}

func (s *Service) saveAnswer(ctx context.Context, q bill.Inquiry, got copies.Copy[bill.Copy]) outcome {
	q = q.Complete(got.Value, got.Source, s.Now())
	return outcome{Result: Result{Inquiry: q, Bill: &got.Value.Bill}, saved: s.save(ctx, q)}
}

func (s *Service) saveFailure(ctx context.Context, q bill.Inquiry, cause error) outcome {
	o := outcome{Result: Result{Inquiry: q}, saved: s.save(ctx, q), noAnswer: errors.Is(cause, ports.ErrNoAnswer)}
	if q.Status.Failure() {
		o.err = failureOf(q, fault.From(cause))
	}
	return o
}

// save stores the inquiry's progress, also when the caller has gone, and notifies those who wait for it.
func (s *Service) save(ctx context.Context, q bill.Inquiry) error {
	ctx, done := ports.RecordContext(ctx)
	defer done()
	err := s.Inquiries.Save(ctx, q)
	if err == nil {
		s.board.Publish(q.ID)
	}
	return err
}
