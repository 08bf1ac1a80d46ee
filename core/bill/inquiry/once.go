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

// storing is how long after its key an inquiry may not be stored yet.
const storing = 10 * time.Second

// AskOnce is Ask under an idempotency key; without one it is Ask. A key that was used returns what its inquiry came to, or the inquiry as
// it stands while that goes on; IDEMPOTENCY_KEY_REUSED when it asked for something else; also when its month cannot be chosen any more.
// Only a request that is itself answered SERVICE_UNAVAILABLE or VALIDATION_ERROR gives its key back; one that was taken (202) and failed
// later is repeated as that failure. Where keys cannot be looked up the bill is answered all the same: asking twice does no harm.
func (s *Service) AskOnce(ctx context.Context, p auth.Principal, n line.Number, month string, key request.Key) (Result, error) {
	if err := p.Owns(n); err != nil {
		return Result{}, err
	}
	q := s.begin(ctx, p, n)
	if key.IsZero() {
		return s.ask(ctx, q, month)
	}
	use := request.KeyUse{
		User: p.UserID, Key: key, Payload: request.PayloadOf(n.Digits(), month), Request: q.ID, At: q.RequestedAt,
	}
	first, err := s.claim(ctx, use, id.ID{})
	if err != nil || first.Request == use.Request {
		return s.first(ctx, q, month, use)
	}
	if err := use.Repeats(first); err != nil {
		return Result{}, err
	}
	return s.repeat(ctx, q, month, use, first)
}

// claiming is how long a key may take to be looked up. It is part of the customer's time.
const claiming = 300 * time.Millisecond

// claim makes the key stand for the use, if it is new or stands for the inquiry instead.
func (s *Service) claim(ctx context.Context, use request.KeyUse, instead id.ID) (request.KeyUse, error) {
	within, cancel := context.WithTimeout(ctx, claiming)
	defer cancel()
	first, err := s.Keys.Claim(within, use, use.At.Add(-request.KeyWindow), instead)
	if err != nil && within.Err() == nil && fault.From(err).Unexpected() {
		s.Report(ctx, err)
	}
	return first, err
}

// first asks for what the key stands for from now on, unless that is refused.
func (s *Service) first(ctx context.Context, q bill.Inquiry, month string, use request.KeyUse) (Result, error) {
	r, err := s.ask(ctx, q, month)
	if err == nil {
		return r, nil
	}
	if kind := fault.From(err).Kind(); kind == fault.Unavailable || kind == fault.Invalid || kind == fault.RateLimited {
		s.afterwards(use.At, func() { s.release(ctx, use) })
	}
	return r, err
}

// release gives the key back. Where that cannot be, it stands for the inquiry and repeats its failure.
func (s *Service) release(ctx context.Context, use request.KeyUse) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), claiming) // his time may be over
	defer cancel()
	if err := s.Keys.Release(within, use); err != nil && within.Err() == nil && fault.From(err).Unexpected() {
		s.Report(ctx, err)
	}
}

// repeat answers what the key's first inquiry came to, or asks anew where that was lost.
func (s *Service) repeat(ctx context.Context, q bill.Inquiry, month string, use, first request.KeyUse) (Result, error) {
	was, err := s.Inquiries.Get(ctx, first.Request)
	lost := errors.Is(err, fault.New(fault.ResourceNotFound)) // we died between the key and the inquiry, or are just about to store it
	switch {
	case lost && use.At.Sub(first.At) < storing:
		return Result{}, stillRunning(first.Request).AsReplay()
	case lost:
		return s.anew(ctx, q, month, use, first)
	case err != nil:
		return Result{}, troubled(bill.Inquiry{ID: first.Request}, err)
	case was.Status.Failure():
		return Result{Inquiry: was}, replayedFailure(failed(was, fault.New(was.FailureCode)))
	case !was.Status.Final():
		return Result{Inquiry: was, Replayed: true}, nil
	}
	r, err := s.withBill(ctx, was)
	if err == nil && r.Bill == nil { // what was answered then cannot be believed any more
		return s.anew(ctx, q, month, use, first)
	}
	r.Replayed = true
	return r, troubled(was, err)
}

func replayedFailure(err error) error { return fault.From(err).AsReplay() }

// anew asks again where the answer to the key's first inquiry cannot be had; the key stands for the new inquiry from
// then on.
func (s *Service) anew(ctx context.Context, q bill.Inquiry, month string, use, first request.KeyUse) (Result, error) {
	if now, err := s.claim(ctx, use, first.Request); err == nil && now.Request != use.Request {
		return Result{}, stillRunning(now.Request).AsReplay()
	}
	return s.first(ctx, q, month, use)
}

// stillRunning is for the moment before the first inquiry under the key is stored, when nothing can be said of it yet.
func stillRunning(inquiry id.ID) *fault.Error {
	return fault.New(fault.StateConflict).WithMessage("같은 멱등 키의 요청이 아직 처리 중입니다").WithDetail("requestId", inquiry.String())
}
