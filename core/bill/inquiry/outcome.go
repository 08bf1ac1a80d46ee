package inquiry

import (
	"context"
	"errors"
	"time"

	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness/fetch"
	"phonebill/ports"
)

// outcome is what came of an inquiry: what its customer is told, and whether that could be saved.
type outcome struct {
	Result
	told, saved error
	unanswered  bool // KOS was asked and was silent for as long as a customer waits
}

// await lets the question go on when the customer's time is over or he hangs up. Where he was shown the last good copy meanwhile, and KOS
// was merely slow, it is asked once more with the time that nobody waits for, so that a slow line is not shown its old bill until that is
// gone.
func (s *Service) await(ctx context.Context, q bill.Inquiry) (Result, error) {
	done, gone, shown := make(chan outcome), make(chan struct{}), false
	defer close(gone)
	s.running.Go(func() {
		o := s.attempt(ctx, q, true)
		select {
		case done <- o:
		case <-gone:
			if shown && o.unanswered {
				s.refresh(ctx, asked(q))
			}
			if fault.From(o.saved).Unexpected() {
				s.Report(ctx, o.saved)
			}
		}
	})
	timer := time.NewTimer(s.left(q.RequestedAt)) // storing it was part of his time
	defer timer.Stop()
	select {
	case o := <-done:
		if o.unanswered && !o.Inquiry.Status.Final() { // somebody else's question, which was out before his, ended in vain
			if r, ok := s.late(ctx, o.Inquiry); ok {
				s.refresh(ctx, o.Inquiry)
				return r, nil
			}
		}
		return s.tell(ctx, q, o)
	case <-timer.C:
		var r Result
		r, shown = s.late(ctx, asked(q))
		return r, nil
	}
}

// refresh asks for the inquiry's bill once more, with the time that nobody waits for. Its customer pays for the calls, as
// for those before: a slow line would cost KOS twice what the allowance says.
func (s *Service) refresh(ctx context.Context, q bill.Inquiry) {
	question := s.question(q, false)
	s.Fetch.Refresh(ports.WithPayer(ctx, question.Payer), question)
}

// lastLook is how long a customer whose time is over waits for the last good copy.
const lastLook = 150 * time.Millisecond

// late answers a customer whose time is over: with the last good copy, which ends his inquiry, or that it goes on (ADR 19, ADR 23).
func (s *Service) late(ctx context.Context, q bill.Inquiry) (r Result, shown bool) {
	ctx, cancel := context.WithTimeout(ctx, lastLook)
	defer cancel()
	question := s.question(q, true)
	question.Renew = nil // it is being asked
	got, ok := s.Fetch.Held(ctx, question)
	if !ok {
		return Result{Inquiry: q}, false
	}
	ended := q.Complete(got.Copy, got.Source, s.Now())
	if s.Inquiries.Save(ctx, ended) != nil { // somebody was quicker, or it cannot be recorded now: he learns it when he asks again
		return Result{Inquiry: q}, false
	}
	s.board.Publish(q.ID)
	return Result{Inquiry: ended, Bill: &got.Copy.Bill}, true
}

// tell answers what came of the inquiry to the customer who still waits, once it is recorded. What could not be saved for the moment is
// added as what he was told, which may be kept elsewhere until the store is back. What can be neither is not said: the row stands as it
// was queued, and the background goes on with it.
func (s *Service) tell(ctx context.Context, q bill.Inquiry, o outcome) (Result, error) {
	if o.saved == nil {
		return o.Result, o.told
	}
	trouble := fault.From(o.saved)
	if trouble.Kind() == fault.Unavailable && o.Inquiry.Status.Final() {
		err := s.Inquiries.Add(ctx, o.Inquiry)
		if err == nil {
			s.board.Publish(q.ID)
			return o.Result, o.told
		}
		trouble = fault.From(err)
	}
	if trouble.Unexpected() && ctx.Err() == nil {
		return Result{}, trouble
	}
	return Result{Inquiry: asked(q)}, nil
}

// attempt asks for the inquiry's bill and saves what came of it. Once begun it is made whoever goes, the customer or the worker's process:
// the question flies on anyway, and only its end tells whether KOS was asked, and so whether the attempt counts.
func (s *Service) attempt(ctx context.Context, q bill.Inquiry, interactive bool) outcome {
	ctx = context.WithoutCancel(ctx)
	question := s.question(q, interactive)
	within, end := context.WithTimeout(ctx, question.Patience+leaseMargin) // whoever is late has lost the inquiry anyway
	defer end()
	got, err := s.Fetch.Get(within, question)
	q.Attempts += got.Attempts
	if err = s.answeredTo(within, q, got.Copy, err); err != nil {
		o := s.untold(ctx, s.after(q, err, interactive), err)
		o.unanswered = errors.Is(err, ports.ErrNoAnswer)
		return o
	}
	return s.answered(ctx, q, got)
}

func (s *Service) answered(ctx context.Context, q bill.Inquiry, got fetch.Answer[bill.Copy]) outcome {
	q = q.Complete(got.Copy, got.Source, s.Now())
	return outcome{Result: Result{Inquiry: q, Bill: &got.Copy.Bill}, saved: s.save(ctx, q)}
}

func (s *Service) untold(ctx context.Context, q bill.Inquiry, cause error) outcome {
	o := outcome{Result: Result{Inquiry: q}, saved: s.save(ctx, q)}
	if q.Status.Failure() {
		o.told = failed(q, fault.From(cause))
	}
	return o
}

func troubleOf(err error) bill.Trouble {
	switch {
	case errors.Is(err, ports.ErrNotAsked):
		return bill.NotAsked
	case errors.Is(err, ports.ErrNoAnswer):
		return bill.NoAnswer
	case fault.From(err).Kind() == fault.NotFound:
		return bill.NoSuch
	default:
		return bill.Broken
	}
}

// troubled is what the customer is told where his inquiry could not be recorded or read for the moment, in the story's words. What is no
// trouble of a store stays what it is.
func troubled(q bill.Inquiry, err error) error {
	if f := fault.From(err); f != nil && f.Kind() == fault.Unavailable {
		return failed(q, f)
	}
	return err
}

// failed is what the customer is told of an inquiry that failed while he waited.
func failed(q bill.Inquiry, f *fault.Error) error {
	return failure(f).WithDetail("requestId", q.ID.String())
}

// failure is the story's text for trouble; KOS's business answers keep their own.
func failure(f *fault.Error) *fault.Error {
	if f.Kind() == fault.NotFound {
		return f
	}
	return fault.New(fault.ServiceUnavailable).WithMessage("요금 조회 신청에 실패하였습니다").RetryIn(f.RetryAfter()).Because(f)
}
