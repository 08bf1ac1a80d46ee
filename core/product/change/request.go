package change

import (
	"context"
	"errors"

	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/core/request/lifecycle"
	"phonebill/ports"
)

// Result is the order of a request. Replayed says that it is that of an earlier request under the same idempotency key.
type Result struct {
	product.Order

	Replayed bool
}

// Command is what the customer asks for. Effective zero means the default day; without a Key the request cannot be
// repeated by it.
type Command struct {
	Line      line.Number
	From, To  string
	Effective calendar.Date
	Key       request.Key
}

// Request stores an order and carries it as far as the customer's time allows. It returns the order, final or still
// going on; or 409 with the request id when it failed within that time or another order is live on the line; FORBIDDEN;
// VALIDATION_ERROR. The same wish of the same customer while one is live returns that order. RATE_LIMIT_EXCEEDED,
// before anything is stored, when the customer's allowance of KOS calls is spent: an order that was accepted is never
// refused for it. A key that was used returns what its request came to, CHANGE_IN_PROGRESS while that goes on,
// IDEMPOTENCY_KEY_REUSED when it asked for something else.
func (s *Service) Request(ctx context.Context, p auth.Principal, c Command) (Result, error) {
	if err := p.Owns(c.Line); err != nil {
		return Result{}, err
	}
	now := s.Now()
	rule, refused := s.Policy.Choose(c.Effective, now)
	if refused != nil { // unless it repeats a request whose day could be chosen
		return s.replayOr(ctx, p, c, refused)
	}
	prepaid, refused := s.prepay(ctx, p.UserID)
	if refused != nil { // unless it repeats a request that was accepted
		return s.replayOrLiveOr(ctx, p, c, refused)
	}
	o := s.withNames(ctx, product.Order{
		ID: s.NewID(), TransactionID: s.NewID(), UserID: p.UserID, CustomerID: p.CustomerID, Line: c.Line,
		From: c.From, To: c.To, Rule: rule, EffectiveDate: rule.Day(now), State: product.Requested,
		RequestedAt: now, NextAttemptAt: now.Add(s.Limits.Lease), TraceID: ports.TraceOf(ctx).TraceID,
	})
	switch other, err := s.takeLine(ctx, p, c, o); {
	case err != nil:
		s.giveBack(ctx, p.UserID, prepaid)
		return other, err
	case other.ID != o.ID: // a replay, or the live order for the same wish
		s.giveBack(ctx, p.UserID, prepaid)
		return other, nil
	}
	return toResponse(s.waitUntilDeadline(ctx, o, prepaid))
}

// maxStoreTries is how often an order is stored anew when the order that was live on the line has just ended.
const maxStoreTries = 3

// takeLine stores the order, and with it takes the line and the key. It returns the order, or what the customer is
// answered instead when the key was used or another order is live on the line.
func (s *Service) takeLine(ctx context.Context, p auth.Principal, c Command, o product.Order) (Result, error) {
	use := request.KeyUse{User: p.UserID, Key: c.Key, Payload: c.payload(), Request: o.ID, At: o.RequestedAt}
	for range maxStoreTries {
		err := s.Orders.Add(ctx, o, use)
		switch {
		case err == nil:
			return Result{Order: o}, nil
		case errors.Is(err, ports.ErrKeyUsed):
			return s.replay(ctx, use)
		case !errors.Is(err, fault.New(fault.ChangeInProgress)):
			return Result{}, err
		}
		live, err := s.liveOrder(ctx, p, c)
		if !errors.Is(err, fault.New(fault.ResourceNotFound)) || ctx.Err() != nil {
			return live, err
		} // it ended just now: the line is free
	}
	return Result{}, fault.New(fault.ChangeInProgress)
}

// waitUntilDeadline carries the order on while the customer waits. When the answer budget is over, or the customer
// hangs up, the order goes on without them. What KOS is asked for it now is prepaid, or counted beyond that, and
// never refused; what the worker does for it later is not counted. The prepaid calls that are left are given back
// when the order needs none any more.
func (s *Service) waitUntilDeadline(ctx context.Context, o product.Order, prepaid *ports.Prepaid) product.Order {
	attempt := lifecycle.StartDetached(&s.running, func() *product.Order {
		payer := ports.Payer{Customer: o.UserID, Accepted: true, Prepaid: prepaid}
		after, err := s.advance(context.WithoutCancel(ctx), o, s.FactsForOrder, payer)
		if err == nil && after.State.Final() {
			s.giveBack(ctx, o.UserID, prepaid)
		}
		if err != nil && !errors.Is(err, fault.New(fault.StateConflict)) { // cancelled, or a worker goes on with it
			s.Report(ctx, err)
		}
		if err != nil {
			return nil
		}
		return &after
	}, func(*product.Order) {})
	defer attempt.Leave()
	now := s.Now()
	remaining := s.Limits.Answer - now.Sub(o.RequestedAt) // storing it was part of the budget
	if after, _ := attempt.WaitFor(lifecycle.TimeLeft(ctx, remaining, now)); after != nil {
		return *after
	}
	if now, err := s.Orders.Get(ctx, o.ID); err == nil {
		return now
	}
	return o // it is stored and leased: the worker goes on with it
}

// toResponse returns the order, with the customer's error when it has ended without success.
func toResponse(o product.Order) (Result, error) {
	switch o.State { //nolint:exhaustive // every other state is a success, or goes on
	case product.Failed:
		return Result{Order: o}, o.FailureError()
	case product.Cancelled:
		return Result{Order: o}, fault.New(fault.StateConflict).WithMessage(product.ChangeCancelled).
			WithDetail("requestId", o.ID.String())
	default:
		return Result{Order: o}, nil
	}
}

// callsPerOrder is what each order needs of KOS at least: whose the line is, and the change. The plan list is shared.
const callsPerOrder = 2

// prepay counts an order's calls before it is accepted, so that of parallel orders no more are accepted than the
// customer's allowance pays for.
func (s *Service) prepay(ctx context.Context, customer auth.UserID) (*ports.Prepaid, error) {
	for i := range int32(callsPerOrder) {
		if err := s.Allowances.Spend(ctx, customer); err != nil {
			s.giveBack(ctx, customer, ports.Prepay(i))
			return nil, err
		}
	}
	return ports.Prepay(callsPerOrder), nil
}

// giveBack gives prepaid calls back that will not be made.
func (s *Service) giveBack(ctx context.Context, customer auth.UserID, prepaid *ports.Prepaid) {
	for prepaid.Take() {
		s.Allowances.GiveBack(context.WithoutCancel(ctx), customer)
	}
}

// withNames fills in what the stored copies know of the plans, so that the history has names whatever becomes of the
// order.
func (s *Service) withNames(ctx context.Context, o product.Order) product.Order {
	plans, err := s.FactsForOrder.Plans.Latest(ctx)
	if err != nil {
		plans = product.PlansCopy{}
	}
	var stored product.CustomerCopy
	if _, listed := plans.Find(o.From); !listed {
		if stored, err = s.FactsForOrder.Customers.Latest(ctx, o.Line); err != nil {
			stored = product.CustomerCopy{}
		}
	}
	return o.WithPlanNames(plans, stored.Customer)
}
