package inquiry

import (
	"context"
	"errors"

	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/ports"
)

// No inquiry asks KOS more than bill.MaxAttempts times, whatever dies in between (ADR 19): each attempt is counted in the row before it
// is made. The customer's first is counted when the inquiry is queued, his others one by one, those of the background by Claim. One that
// was not made is given back with what came of the inquiry.

// asked is the inquiry with one attempt more.
func asked(q bill.Inquiry) bill.Inquiry {
	q.Attempts++
	return q
}

// count writes down that KOS is asked once more while the customer waits. What cannot be counted is not asked: the background goes on.
func (s *Service) count(ctx context.Context, q bill.Inquiry, attempt int) error {
	if attempt <= q.Attempts+1 {
		return nil // it is counted
	}
	q.Attempts = attempt
	if err := s.Inquiries.Save(ctx, q); err != nil {
		f := fault.From(err)
		return fault.New(fault.ServiceUnavailable).RetryIn(max(f.RetryAfter(), bill.BackgroundGap)).Because(errors.Join(ports.ErrNotAsked, err))
	}
	return nil
}

// work makes the attempt that the inquiry was claimed for, and answers whether what came of it could be saved. A worker that is told to
// stop before it has begun gives the attempt back.
func (s *Service) work(ctx context.Context, q bill.Inquiry) error {
	q.Attempts-- // it is not made yet
	switch {
	case q.Attempts >= bill.MaxAttempts:
		q.Attempts = bill.MaxAttempts
		return s.usedUp(context.WithoutCancel(ctx), q)
	case ctx.Err() != nil:
		q.NextAttemptAt = s.Now() // whoever comes next may
		return s.save(ctx, q)
	default:
		return s.attempt(ctx, q, false).saved
	}
}

// usedUp ends an inquiry whose attempts were made by others, who never told what came of the last one. A copy may show it.
func (s *Service) usedUp(ctx context.Context, q bill.Inquiry) error {
	question := s.question(q, false)
	question.Renew = nil // that would be one more
	if got, ok := s.Fetch.Held(ctx, question); ok {
		return s.answered(ctx, q, got).saved
	}
	return s.save(ctx, s.after(q, fault.New(fault.ServiceUnavailable).Because(ports.ErrNoAnswer), false))
}
