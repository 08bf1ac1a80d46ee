package inquiry

import (
	"context"
	"errors"
	"time"

	"phonebill/core/auth"
	"phonebill/core/calendar"
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
	m, err := s.month(p, n, month)
	if err != nil {
		return Result{}, err
	}
	use := idempotency.Use{
		User: p.UserID, Key: key, Payload: idempotency.PayloadOf(n.Digits(), month), Request: s.NewID(), At: s.Now(),
	}
	if key.IsZero() {
		return s.ask(ctx, p, n, m, use.Request)
	}
	first, err := s.claim(ctx, use, id.ID{})
	if err != nil || first.Request == use.Request {
		return s.ask(ctx, p, n, m, use.Request)
	}
	if err := use.Repeats(first); err != nil {
		return Result{}, err
	}
	return s.repeat(ctx, p, n, m, use, first)
}

// claim makes the key stand for the use, if it is new or stands for the inquiry instead.
func (s *Service) claim(ctx context.Context, use idempotency.Use, instead id.ID) (idempotency.Use, error) {
	first, err := s.Keys.Claim(ctx, use, use.At.Add(-idempotency.Window), instead)
	if err != nil && fault.From(err).Unexpected() {
		s.Report(ctx, err)
	}
	return first, err
}

// repeat answers what the key's first inquiry came to, or asks anew where that came to nothing.
func (s *Service) repeat(
	ctx context.Context, p auth.Principal, n line.Number, m calendar.Month, use, first idempotency.Use,
) (Result, error) {
	q, err := s.Inquiries.Get(ctx, first.Request)
	lost := errors.Is(err, fault.New(fault.ResourceNotFound)) // we died between the key and the inquiry, or are just about to store it
	switch {
	case lost && use.At.Sub(first.At) < storing:
		return Result{}, stillRunning(first.Request)
	case lost, err == nil && q.Status.Failure() && q.FailureCode == fault.ServiceUnavailable:
		if now, err := s.claim(ctx, use, first.Request); err == nil && now.Request != use.Request {
			return Result{}, stillRunning(now.Request)
		}
		return s.ask(ctx, p, n, m, use.Request)
	case err != nil:
		return Result{}, err
	case q.Status.Failure():
		return Result{Inquiry: q}, failed(q, fault.New(q.FailureCode))
	case !q.Status.Final():
		return Result{}, stillRunning(q.ID)
	}
	return s.withBill(ctx, q)
}

func stillRunning(inquiry id.ID) error {
	return fault.New(fault.StateConflict).WithMessage("같은 멱등 키의 요청이 아직 처리 중입니다").WithDetail("requestId", inquiry.String())
}
