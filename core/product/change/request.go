package change

import (
	"context"
	"errors"
	"time"

	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/ports"
)

// Result is the order of a request. Replayed says that it is that of an earlier request under the same idempotency key.
type Result struct {
	product.Order

	Replayed bool
}

// Command is what the customer asks for. Effective zero means the default day; without a Key the request cannot be repeated by it.
type Command struct {
	Line      line.Number
	From, To  string
	Effective calendar.Date
	Key       request.Key
}

func (c Command) payload() request.Payload {
	day := ""
	if !c.Effective.IsZero() {
		day = c.Effective.String()
	}
	return request.PayloadOf(c.Line.Digits(), c.From, c.To, day)
}

// Request stores an order and carries it as far as the customer's time allows. It answers the order, final or still
// going on; or 409 with the request id when it failed within that time or another order is live on the line; FORBIDDEN;
// VALIDATION_ERROR. The same wish of the same customer while one is live answers that order. RATE_LIMIT_EXCEEDED,
// before anything is stored, when the customer's allowance of KOS calls is spent: an order that was accepted is never
// refused for it. A key that was used answers what its request came to, CHANGE_IN_PROGRESS while that goes on,
// IDEMPOTENCY_KEY_REUSED when it asked for something else.
func (s *Service) Request(ctx context.Context, p auth.Principal, c Command) (Result, error) {
	if err := p.Owns(c.Line); err != nil {
		return Result{}, err
	}
	now := s.Now()
	rule, err := s.Policy.Choose(c.Effective, now)
	if err != nil {
		return s.chosenBefore(ctx, p, c, err)
	}
	paid, err := s.prepay(ctx, p.UserID)
	if err != nil {
		return s.acceptedBefore(ctx, p, c, err)
	}
	o := product.Order{
		ID: s.NewID(), TransactionID: s.NewID(), UserID: p.UserID, CustomerID: p.CustomerID, Line: c.Line, From: c.From, To: c.To,
		Rule: rule, EffectiveDate: rule.Day(now), State: product.Requested, RequestedAt: now, NextAttemptAt: now.Add(s.Limits.Lease),
		TraceID: ports.TraceOf(ctx).TraceID,
	}
	o = s.named(ctx, o)
	use := request.KeyUse{User: p.UserID, Key: c.Key, Payload: c.payload(), Request: o.ID, At: now}
	return s.take(ctx, p, c, o, use, paid)
}

// callsOfOrder is what each order needs of KOS at least: whose the line is, and the change. The plan list is shared.
const callsOfOrder = 2

// prepay counts an order's calls before it is accepted, so that of parallel orders no more are accepted than the
// customer's allowance pays for.
func (s *Service) prepay(ctx context.Context, customer auth.UserID) (*ports.Prepaid, error) {
	for i := range int32(callsOfOrder) {
		if err := s.Allowances.Spend(ctx, customer); err != nil {
			s.giveBack(ctx, customer, ports.Prepay(i))
			return nil, err
		}
	}
	return ports.Prepay(callsOfOrder), nil
}

// giveBack gives prepaid calls back that will not be made.
func (s *Service) giveBack(ctx context.Context, customer auth.UserID, paid *ports.Prepaid) {
	for paid.Take() {
		s.Allowances.GiveBack(context.WithoutCancel(ctx), customer)
	}
}

// named fills in what the copies at hand know of the plans, so that the history has names whatever becomes of the
// order.
func (s *Service) named(ctx context.Context, o product.Order) product.Order {
	plans, err := s.Facts.Plans.Latest(ctx)
	if err != nil {
		plans = product.PlansCopy{}
	}
	var held product.CustomerCopy
	if _, listed := plans.Find(o.From); !listed {
		if held, err = s.Facts.Customers.Latest(ctx, o.Line); err != nil {
			held = product.CustomerCopy{}
		}
	}
	return o.WithPlanNames(plans, held.Customer)
}

// take stores the order, and carries it on if it has got the line.
// Without it the prepaid calls are given back.
func (s *Service) take(
	ctx context.Context, p auth.Principal, c Command, o product.Order, use request.KeyUse, paid *ports.Prepaid,
) (Result, error) {
	taken := false
	defer func() {
		if !taken {
			s.giveBack(ctx, p.UserID, paid)
		}
	}()
	for range 3 {
		err := s.Orders.Add(ctx, o, use)
		switch {
		case err == nil:
			taken = true
			return told(s.await(ctx, o, paid))
		case errors.Is(err, ports.ErrKeyUsed):
			return s.repeated(ctx, use)
		case !errors.Is(err, fault.New(fault.ChangeInProgress)):
			return Result{}, err
		}
		live, err := s.inTheWay(ctx, p, c)
		if !errors.Is(err, fault.New(fault.ResourceNotFound)) || ctx.Err() != nil {
			return live, err
		} // it ended just now: the line is free
	}
	return Result{}, fault.New(fault.ChangeInProgress)
}

// told is an end that is no success as the error that the customer is told.
func told(o product.Order, err error) (Result, error) {
	switch {
	case err != nil:
	case o.State == product.Rejected:
		err = o.FailureError()
	case o.State == product.Cancelled:
		err = fault.New(fault.StateConflict).WithMessage(product.ChangeCancelled).WithDetail("requestId", o.ID.String())
	}
	return Result{Order: o}, err
}

// replayed marks what the customer is told as the answer to an earlier request.
func replayed(r Result, err error) (Result, error) {
	r.Replayed = true
	if f := fault.From(err); f != nil {
		err = f.AsReplay()
	}
	return r, err
}

// chosenBefore is for a repeated request whose day could be chosen when it was first made.
func (s *Service) chosenBefore(ctx context.Context, p auth.Principal, c Command, refused error) (Result, error) {
	if c.Key.IsZero() {
		return Result{}, refused
	}
	o, err := s.repeated(ctx, request.KeyUse{User: p.UserID, Key: c.Key, Payload: c.payload(), At: s.Now()})
	if errors.Is(err, fault.New(fault.ResourceNotFound)) {
		err = refused
	}
	return o, err
}

// acceptedBefore is for a request that may not be accepted now, and may repeat one that was.
func (s *Service) acceptedBefore(ctx context.Context, p auth.Principal, c Command, refused error) (Result, error) {
	o, err := s.chosenBefore(ctx, p, c, refused)
	if !errors.Is(err, refused) {
		return o, err
	}
	live, err := s.inTheWay(ctx, p, c)
	if errors.Is(err, fault.New(fault.ResourceNotFound)) {
		err = refused
	}
	return live, err
}

// repeated returns what the request under the key came to; while that still goes on, the order as it stands, as a request without a key
// gets it.
func (s *Service) repeated(ctx context.Context, use request.KeyUse) (Result, error) {
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
	return replayed(told(o, nil))
}

// inTheWay answers the live order when it is the same wish of the same customer, and he did not say by a key that it is another; NOT_FOUND
// when none is live any more.
func (s *Service) inTheWay(ctx context.Context, p auth.Principal, c Command) (Result, error) {
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

// Cancel takes the caller's order back while KOS cannot have seen it; CONFLICT after that, NOT_FOUND when it is somebody else's.
func (s *Service) Cancel(ctx context.Context, p auth.Principal, order id.ID) (product.Order, error) {
	return s.cancel(ctx, func() (product.Order, error) { return s.own(ctx, p, order) })
}

// byStaff is the note of a step that a member of staff made.
const byStaff = "STAFF"

// CancelByStaff takes an order back for its customer, who could do so too: CONFLICT where not, NOT_FOUND without it.
func (s *Service) CancelByStaff(ctx context.Context, order id.ID) error {
	_, err := s.cancel(ctx, func() (product.Order, error) {
		o, err := s.Orders.Get(ctx, order)
		o.Note = byStaff
		return o, err
	})
	return err
}

func (s *Service) cancel(ctx context.Context, load func() (product.Order, error)) (product.Order, error) {
	for {
		o, err := load()
		if err != nil {
			return product.Order{}, err
		}
		gone, err := o.CancelByCustomer(s.Now())
		if err != nil {
			return product.Order{}, fault.From(err).WithMessage("이미 처리 중이거나 완료된 요청은 취소할 수 없습니다")
		}
		if gone.Note == byStaff {
			gone.FailureReason = product.CancelledByStaff
		}
		saved, err := s.save(ctx, gone)
		if !errors.Is(err, fault.New(fault.StateConflict)) || ctx.Err() != nil {
			return saved, err
		} // somebody carried it on meanwhile: look again
	}
}

func (s *Service) own(ctx context.Context, p auth.Principal, order id.ID) (product.Order, error) {
	o, err := s.Orders.Get(ctx, order)
	if err == nil && (o.UserID != p.UserID || p.Owns(o.Line) != nil) {
		err = fault.New(fault.ResourceNotFound)
	}
	return o, err
}

// await lets the order go on when the customer's time is over or the customer hangs up. What is asked for it now is
// prepaid, or counted beyond that, and never refused; what the worker does for it later is not counted. What is left of
// the prepaid calls is given back when the order needs none any more.
func (s *Service) await(ctx context.Context, o product.Order, paid *ports.Prepaid) (product.Order, error) {
	type outcome struct {
		order product.Order
		err   error
	}
	done := make(chan outcome, 1)
	s.running.Go(func() {
		paying := ports.WithPayer(context.WithoutCancel(ctx), ports.Payer{Customer: o.UserID, Accepted: true, Prepaid: paid})
		after, err := s.advance(paying, o, s.Facts)
		if err == nil && after.State.Final() {
			s.giveBack(ctx, o.UserID, paid)
		}
		if err != nil && !errors.Is(err, fault.New(fault.StateConflict)) { // cancelled, or somebody else goes on with it
			s.Report(ctx, err)
		}
		done <- outcome{after, err}
	})
	timer := time.NewTimer(s.Limits.Answer - s.Now().Sub(o.RequestedAt)) // storing it was part of his time
	defer timer.Stop()
	select {
	case r := <-done:
		if r.err == nil {
			return r.order, nil
		}
	case <-timer.C:
	}
	if now, err := s.Orders.Get(ctx, o.ID); err == nil {
		return now, nil
	}
	return o, nil // it is stored and leased: the worker goes on with it
}
