package change

import (
	"context"
	"errors"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/product"
	"phonebill/core/request"
)

// payload is what a repeated request must ask for again.
func (c Command) payload() request.Payload {
	day := ""
	if !c.Effective.IsZero() {
		day = c.Effective.String()
	}
	return request.PayloadOf(c.Line.Digits(), c.From, c.To, day)
}

// replayOr returns what the first request under the key came to, or the refusal when there was none.
func (s *Service) replayOr(ctx context.Context, p auth.Principal, c Command, refused error) (Result, error) {
	if c.Key.IsZero() {
		return Result{}, refused
	}
	o, err := s.replay(ctx, request.KeyUse{User: p.UserID, Key: c.Key, Payload: c.payload(), At: s.Now()})
	if errors.Is(err, fault.New(fault.ResourceNotFound)) {
		err = refused
	}
	return o, err
}

// replayOrLiveOr is replayOr, and else returns the live order for the same wish.
func (s *Service) replayOrLiveOr(ctx context.Context, p auth.Principal, c Command, refused error) (Result, error) {
	o, err := s.replayOr(ctx, p, c, refused)
	if !errors.Is(err, refused) {
		return o, err
	}
	live, err := s.liveOrder(ctx, p, c)
	if errors.Is(err, fault.New(fault.ResourceNotFound)) {
		err = refused
	}
	return live, err
}

// replay returns what the first request under the key came to; while that still goes on, the order as it stands, as a
// request without a key gets it.
func (s *Service) replay(ctx context.Context, use request.KeyUse) (Result, error) {
	first, err := s.Orders.Used(ctx, use, use.At.Add(-request.KeyWindow))
	if err != nil {
		return Result{}, err
	}
	if err := use.Repeats(first); err != nil {
		return Result{}, err
	}
	o, err := s.Orders.Get(ctx, first.Request)
	switch {
	case err != nil:
		return Result{}, err
	case !o.State.Final():
		return Result{Order: o, Replayed: true}, nil
	}
	r, err := toResponse(o)
	r.Replayed = true
	if f := fault.From(err); f != nil {
		err = f.AsReplay()
	}
	return r, err
}

// liveOrder returns the live order of the line when it is the same wish of the same customer, and no key says that it
// is another; CHANGE_IN_PROGRESS when it is not, NOT_FOUND when none is live any more.
func (s *Service) liveOrder(ctx context.Context, p auth.Principal, c Command) (Result, error) {
	live, err := s.Orders.Live(ctx, c.Line)
	switch {
	case err != nil:
		return Result{}, err
	case live.To != c.To || live.UserID != p.UserID || !c.Key.IsZero():
		return Result{}, inProgress(live)
	}
	return Result{Order: live}, nil
}

func inProgress(o product.Order) error {
	return fault.New(fault.ChangeInProgress).WithDetail("requestId", o.ID.String())
}
