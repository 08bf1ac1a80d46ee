package inquiry

import (
	"context"
	"errors"
	"time"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/request"
)

// storeTimeout is how long after its key an inquiry may not be stored yet.
const storeTimeout = 10 * time.Second

// AskOnce is Ask under an idempotency key; without one it is Ask. A key that was used returns what its inquiry came
// to, or the inquiry as it stands while that goes on; IDEMPOTENCY_KEY_REUSED when it asked for something else; also
// when its month cannot be chosen any more. Only a request that itself ends in SERVICE_UNAVAILABLE,
// RATE_LIMIT_EXCEEDED or VALIDATION_ERROR gives its key back; one that was accepted (202) and failed later is
// repeated as that failure. Where keys cannot be looked up the bill is returned all the same: asking twice does no
// harm.
func (s *Service) AskOnce(
	ctx context.Context, p auth.Principal, n line.Number, month string, key request.Key,
) (Result, error) {
	if err := p.Owns(n); err != nil {
		return Result{}, err
	}
	q := s.newInquiry(ctx, p, n)
	if key.IsZero() {
		return s.ask(ctx, q, month)
	}
	use := request.KeyUse{
		User: p.UserID, Key: key, Payload: request.PayloadOf(n.Digits(), month), Request: q.ID, At: q.RequestedAt,
	}
	first, err := s.claimKey(ctx, use, id.ID{})
	if err != nil || first.Request == use.Request {
		return s.askUnderKey(ctx, q, month, use)
	}
	if err := use.Repeats(first); err != nil {
		return Result{}, err
	}
	return s.replay(ctx, q, month, use, first)
}

// keyTimeout is how long a key may take to be looked up. It is part of the answer budget.
const keyTimeout = 300 * time.Millisecond

// claimKey makes the key stand for the use, if it is new or stands for the inquiry instead. It returns the use that the
// key stands for.
func (s *Service) claimKey(ctx context.Context, use request.KeyUse, instead id.ID) (request.KeyUse, error) {
	within, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	first, err := s.Keys.Claim(within, use, use.At.Add(-request.KeyWindow), instead)
	if err != nil && within.Err() == nil && fault.From(err).Unexpected() {
		s.Report(ctx, err)
	}
	return first, err
}

// askUnderKey asks for the bill that the key stands for from now on, and gives the key back when that is refused.
func (s *Service) askUnderKey(
	ctx context.Context, q bill.Inquiry, month string, use request.KeyUse,
) (Result, error) {
	r, err := s.ask(ctx, q, month)
	if err == nil {
		return r, nil
	}
	if kind := fault.From(err).Kind(); kind == fault.Unavailable || kind == fault.Invalid || kind == fault.RateLimited {
		s.withinBudget(use.At, func() { s.releaseKey(ctx, use) })
	}
	return r, err
}

// releaseKey gives the key back. Where that fails, the key stands for the inquiry and repeats its failure.
func (s *Service) releaseKey(ctx context.Context, use request.KeyUse) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyTimeout) // ctx may be over
	defer cancel()
	if err := s.Keys.Release(within, use); err != nil && within.Err() == nil && fault.From(err).Unexpected() {
		s.Report(ctx, err)
	}
}

// replay returns what the key's first inquiry came to, or asks anew where that was lost.
func (s *Service) replay(
	ctx context.Context, q bill.Inquiry, month string, use, first request.KeyUse,
) (Result, error) {
	was, err := s.Inquiries.Get(ctx, first.Request)
	// Lost: a process died between the key and the inquiry, or is just about to store the inquiry.
	lost := errors.Is(err, fault.New(fault.ResourceNotFound))
	switch {
	case lost && use.At.Sub(first.At) < storeTimeout:
		return Result{}, stillRunning(first.Request).AsReplay()
	case lost:
		return s.askAnew(ctx, q, month, use, first)
	case err != nil:
		return Result{}, toCustomerError(bill.Inquiry{ID: first.Request}, err)
	case was.Status.Failure():
		return Result{Inquiry: was}, fault.From(failureOf(was, fault.New(was.FailureCode))).AsReplay()
	case !was.Status.Final():
		return Result{Inquiry: was, Replayed: true}, nil
	}
	r, err := s.withBill(ctx, was)
	if err == nil && r.Bill == nil { // what was shown then is not trusted any more
		return s.askAnew(ctx, q, month, use, first)
	}
	r.Replayed = true
	return r, toCustomerError(was, err)
}

// askAnew asks again where the answer to the key's first inquiry is lost; the key stands for the new inquiry from then
// on.
func (s *Service) askAnew(
	ctx context.Context, q bill.Inquiry, month string, use, first request.KeyUse,
) (Result, error) {
	if now, err := s.claimKey(ctx, use, first.Request); err == nil && now.Request != use.Request {
		return Result{}, stillRunning(now.Request).AsReplay()
	}
	return s.askUnderKey(ctx, q, month, use)
}

// stillRunning is the error for the moment before the first inquiry under the key is stored.
func stillRunning(inquiry id.ID) *fault.Error {
	return fault.New(fault.StateConflict).WithMessage("같은 멱등 키의 요청이 아직 처리 중입니다").
		WithDetail("requestId", inquiry.String())
}
