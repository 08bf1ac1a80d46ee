package inquiry

import (
	"context"
	"errors"
	"time"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness/copies"
	"phonebill/core/line"
	"phonebill/core/request/lifecycle"
	"phonebill/ports"
)

// Ask returns the bill of a month (empty = the current one): from a fresh copy, from KOS, or from a stale copy when KOS
// fails; or a Processing inquiry that the background goes on with; or FORBIDDEN, VALIDATION_ERROR,
// BILL_NOT_FOUND, LINE_NOT_FOUND (also where KOS names another customer for the line), SERVICE_UNAVAILABLE.
// RATE_LIMIT_EXCEEDED when no copy may be shown and the customer's allowance of KOS calls is spent. The inquiry row is
// stored before Ask returns, whatever it returns after these checks.
func (s *Service) Ask(ctx context.Context, p auth.Principal, n line.Number, month string) (Result, error) {
	if err := p.Owns(n); err != nil {
		return Result{}, err
	}
	return s.ask(ctx, s.newInquiry(ctx, p, n), month)
}

// newInquiry returns a new inquiry of the caller, whose answer budget runs from now on.
func (s *Service) newInquiry(ctx context.Context, p auth.Principal, n line.Number) bill.Inquiry {
	return bill.Inquiry{
		ID: s.NewID(), UserID: p.UserID, CustomerID: p.CustomerID, Line: n, Status: bill.Processing,
		RequestedAt: s.Now(), TraceID: ports.TraceOf(ctx).TraceID,
	}
}

func (s *Service) ask(ctx context.Context, q bill.Inquiry, month string) (Result, error) {
	m, err := bill.ParseMonth(month, q.RequestedAt, s.Limits.Months)
	if err != nil {
		return Result{}, err
	}
	s.NoteActiveLine(q.Line)
	q.Month, q.NextAttemptAt = m, s.Now().Add(s.Limits.Call+leaseMargin)

	query := s.query(q, true)
	stored := s.Copies.Lookup(ctx, query)
	if stored.IsFresh() { // one write: the inquiry is complete when it is stored
		return s.answerFromCopy(ctx, q, stored)
	}
	if err := s.Holders.CheckFresh(ctx, q.Account(), q.Line); err != nil {
		return Result{}, err
	}
	if spent := s.Copies.CheckAllowance(ctx, query); spent != nil {
		if stored.CanBeServed() {
			return s.answerFromCopy(ctx, q, stored)
		}
		return Result{}, spent // an inquiry in the background would spend what the customer no longer has
	}
	if err := s.Inquiries.Add(ctx, countAttempt(q)); err != nil {
		return s.answerWithoutQueue(ctx, q, err)
	}
	return s.waitUntilDeadline(ctx, q, stored)
}

// answerFromCopy completes and stores the inquiry with the copy that was looked up.
func (s *Service) answerFromCopy(
	ctx context.Context, q bill.Inquiry, stored copies.Stored[bill.Copy],
) (Result, error) {
	got, _ := s.Copies.ServeStored(stored)
	q = q.Complete(got.Value, got.Source, s.Now())
	return Result{Inquiry: q, Bill: &got.Value.Bill}, toCustomerError(q, s.Inquiries.Add(ctx, q))
}

// waitUntilDeadline makes the customer's own attempt. When the answer budget is over, or the customer hangs up, the
// attempt goes on without them. Where the customer was shown a stale copy meanwhile and KOS was merely slow, KOS is
// asked once more with the longer background timeout, so that a slow line does not show its old bill until that has
// expired.
func (s *Service) waitUntilDeadline(
	ctx context.Context, q bill.Inquiry, stored copies.Stored[bill.Copy],
) (Result, error) {
	staleShown := false
	attempt := lifecycle.StartDetached(&s.running,
		func() outcome { return s.attempt(ctx, q, true, stored) },
		func(o outcome) {
			if staleShown && o.noAnswer {
				s.refresh(ctx, countAttempt(q))
			}
			if fault.From(o.saved).Unexpected() {
				s.Report(ctx, o.saved)
			}
		})
	defer attempt.Leave()
	remaining := s.remaining(q.RequestedAt) // storing the inquiry was part of the budget
	o, ended := attempt.WaitFor(lifecycle.TimeLeft(ctx, remaining, s.Now()))
	if !ended {
		var r Result
		r, staleShown = s.answerOverdue(ctx, countAttempt(q))
		return r, nil
	}
	if o.noAnswer && !o.Inquiry.Status.Final() { // an older question, which this inquiry had joined, ended in vain
		if r, ok := s.answerOverdue(ctx, o.Inquiry); ok {
			s.refresh(ctx, o.Inquiry)
			return r, nil
		}
	}
	return s.respond(ctx, q, o)
}

// remaining is how much of the answer budget is left to a customer who came at since.
func (s *Service) remaining(since time.Time) time.Duration {
	return s.Limits.Answer - s.Now().Sub(since)
}

// staleCopyTimeout is how long a customer whose budget is over waits for a stale copy.
const staleCopyTimeout = 150 * time.Millisecond

// answerOverdue returns what a customer gets whose budget is over: a stored copy, which ends the inquiry, or the one
// that goes on (ADR 19, ADR 23).
func (s *Service) answerOverdue(ctx context.Context, q bill.Inquiry) (r Result, copyShown bool) {
	ctx, cancel := context.WithTimeout(ctx, staleCopyTimeout)
	defer cancel()
	got, ok := s.Copies.GetStored(ctx, s.storedQuery(q, true))
	if !ok {
		return Result{Inquiry: q}, false
	}
	ended := q.Complete(got.Value, got.Source, s.Now())
	if s.Inquiries.Save(ctx, ended) != nil { // another one was quicker, or it cannot be stored now: the inquiry goes on
		return Result{Inquiry: q}, false
	}
	s.board.Publish(q.ID)
	return Result{Inquiry: ended, Bill: &got.Value.Bill}, true
}

// refresh asks for the inquiry's bill once more in the background. Its customer pays for the calls, as for those
// before: a slow line would cost KOS twice what the allowance says.
func (s *Service) refresh(ctx context.Context, q bill.Inquiry) {
	s.Copies.RefreshInBackground(ctx, s.query(q, false))
}

// respond returns the outcome to the customer who still waits, once it is stored. An end that cannot be saved for the
// moment is added as the customer's answer, which may be kept elsewhere until the store is back. What can be neither
// saved nor added is not returned: the row stands as it was queued, and the background goes on with it.
func (s *Service) respond(ctx context.Context, q bill.Inquiry, o outcome) (Result, error) {
	if o.saved == nil {
		return o.Result, o.err
	}
	trouble := fault.From(o.saved)
	if trouble.Kind() == fault.Unavailable && o.Inquiry.Status.Final() {
		err := s.Inquiries.Add(ctx, o.Inquiry)
		if err == nil {
			s.board.Publish(q.ID)
			return o.Result, o.err
		}
		trouble = fault.From(err)
	}
	if trouble.Unexpected() && ctx.Err() == nil {
		return Result{}, trouble
	}
	return Result{Inquiry: countAttempt(q)}, nil
}

// troubleOf classifies why KOS brought no bill.
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

// toCustomerError returns the story's error for a store that failed on the inquiry, and any other error unchanged.
func toCustomerError(q bill.Inquiry, err error) error {
	if f := fault.From(err); f != nil && f.Kind() == fault.Unavailable {
		return failureOf(q, f)
	}
	return err
}

// failureOf is the error that a waiting customer gets for a failed inquiry: the story's text, with the inquiry's id;
// KOS's business answers keep their own text.
func failureOf(q bill.Inquiry, f *fault.Error) error {
	if f.Kind() != fault.NotFound {
		f = fault.New(fault.ServiceUnavailable).WithMessage("요금 조회 신청에 실패하였습니다").RetryIn(
			f.RetryAfter()).Because(f)
	}
	return f.WithDetail("requestId", q.ID.String())
}
