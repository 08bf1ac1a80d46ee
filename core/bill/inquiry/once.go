package inquiry

import (
	"context"
	"errors"
	"time"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/idempotency"
	"phonebill/core/line"
)

// storing is how long after its key an inquiry may not be stored yet.
const storing = 10 * time.Second

// AskOnce is Ask under an idempotency key; without one it is Ask. A key that was used answers what its inquiry came to, CONFLICT while that
// goes on, IDEMPOTENCY_KEY_REUSED when it asked for something else. SERVICE_UNAVAILABLE is no answer to keep: then the same key asks again.
// Where keys cannot be looked up the bill is answered all the same: asking twice does no harm (decision 15).
func (s *Service) AskOnce(ctx context.Context, p auth.Principal, n line.Number, month string, key idempotency.Key) (Result, error) {
	if err := p.Owns(n); err != nil {
		return Result{}, err
	}
	q := s.begin(p, n)
	if _, err := bill.ParseMonth(month, q.RequestedAt, s.Limits.Months); err != nil {
		return Result{}, err
	}
	if key.IsZero() {
		return s.ask(ctx, q, month)
	}
	use := idempotency.Use{
		User: p.UserID, Key: key, Payload: idempotency.PayloadOf(n.Digits(), month), Request: q.ID, At: q.RequestedAt,
	}
	first, err := s.claim(ctx, use, id.ID{})
	if err != nil || first.Request == use.Request {
		return s.ask(ctx, q, month)
	}
	if err := use.Repeats(first); err != nil {
		return Result{}, err
	}
	return s.repeat(ctx, q, month, use, first)
}

// claiming is how long a key may take to be looked up. It is part of the customer's time.
const claiming = 300 * time.Millisecond

// claim makes the key stand for the use, if it is new or stands for the inquiry instead.
func (s *Service) claim(ctx context.Context, use idempotency.Use, instead id.ID) (idempotency.Use, error) {
	within, cancel := context.WithTimeout(ctx, claiming)
	defer cancel()
	first, err := s.Keys.Claim(within, use, use.At.Add(-idempotency.Window), instead)
	if err != nil && within.Err() == nil && fault.From(err).Unexpected() {
		s.Report(ctx, err)
	}
	return first, err
}

// repeat answers what the key's first inquiry came to, or asks anew where that came to nothing.
func (s *Service) repeat(ctx context.Context, q bill.Inquiry, month string, use, first idempotency.Use) (Result, error) {
	was, err := s.Inquiries.Get(ctx, first.Request)
	lost := errors.Is(err, fault.New(fault.ResourceNotFound)) // we died between the key and the inquiry, or are just about to store it
	switch {
	case lost && use.At.Sub(first.At) < storing:
		return Result{}, stillRunning(first.Request)
	case lost, err == nil && was.Status.Failure() && was.FailureCode == fault.ServiceUnavailable:
		if now, err := s.claim(ctx, use, first.Request); err == nil && now.Request != use.Request {
			return Result{}, stillRunning(now.Request)
		}
		return s.ask(ctx, q, month)
	case err != nil:
		return Result{}, err
	case was.Status.Failure():
		return Result{Inquiry: was}, failed(was, fault.New(was.FailureCode))
	case !was.Status.Final():
		return Result{}, stillRunning(was.ID)
	}
	return s.withBill(ctx, was)
}

func stillRunning(inquiry id.ID) error {
	return fault.New(fault.StateConflict).WithMessage("같은 멱등 키의 요청이 아직 처리 중입니다").WithDetail("requestId", inquiry.String())
}
