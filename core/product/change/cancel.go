package change

import (
	"context"
	"errors"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/ports"
)

// Cancel takes the caller's order back while KOS cannot have seen it; CONFLICT after that, NOT_FOUND when it is another
// customer's.
func (s *Service) Cancel(ctx context.Context, p auth.Principal, order id.ID) (product.Order, error) {
	return s.cancel(ctx, func() (product.Order, error) { return s.own(ctx, p, order) })
}

// byStaff is the note of a step that a member of staff made.
const byStaff = "STAFF"

// CancelByStaff takes an order back for its customer: CONFLICT where the customer could not, NOT_FOUND without it.
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
		cancelled, err := o.CancelByCustomer(s.Now())
		if err != nil {
			return product.Order{}, fault.From(err).WithMessage("이미 처리 중이거나 완료된 요청은 취소할 수 없습니다")
		}
		if cancelled.Note == byStaff {
			cancelled.FailureReason = product.CancelledByStaff
		}
		saved, err := s.save(ctx, cancelled)
		if !errors.Is(err, fault.New(fault.StateConflict)) || ctx.Err() != nil {
			return saved, err
		} // a worker carried it on meanwhile: load it again
	}
}

// own loads the caller's order; NOT_FOUND when it is another customer's.
func (s *Service) own(ctx context.Context, p auth.Principal, order id.ID) (product.Order, error) {
	o, err := s.Orders.Get(ctx, order)
	if err == nil && (o.UserID != p.UserID || p.Owns(o.Line) != nil) {
		err = fault.New(fault.ResourceNotFound)
	}
	return o, err
}

// ParkedOrders is what staff decide about orders whose outcome KOS cannot tell (UFR-PROD-040). It implements
// ports.ParkedChanges. All fields are required; it is safe for concurrent use.
type ParkedOrders struct {
	Orders ports.ParkedOrders
	Epochs ports.Epochs
	Now    ports.Clock
}

var _ ports.ParkedChanges = (*ParkedOrders)(nil)

// List returns one page, the oldest request first, and how many orders are parked.
func (s *ParkedOrders) List(ctx context.Context, page, size int) ([]product.ParkedOrder, int, error) {
	return s.Orders.List(ctx, page, size)
}

// Resolve judges what a member of staff says of an order by the rule of four eyes.
func (s *ParkedOrders) Resolve(ctx context.Context, order id.ID, r product.Resolution) (product.Judgement, error) {
	r.At = s.Now()
	return s.Orders.Resolve(ctx, order, r, s.dropCopies)
}

// dropCopies runs before an order is stored as completed, as it does after an answer of KOS: no reader may see a
// completed change beside an older copy.
func (s *ParkedOrders) dropCopies(ctx context.Context, o product.Order) error {
	return s.Epochs.Raise(ctx, o.Line, s.Now().Add(freshness.Skew))
}

// AlertParked returns a Service.Parked that raises an alert for each parked order. An alert may be lost with the
// process that raises it; the list of parked orders is complete.
func AlertParked(alerts ports.Alerts) func(context.Context, product.Order) {
	return func(ctx context.Context, o product.Order) {
		alerts.Raise(ctx, operations.Alert{
			Kind: operations.ChangeParked, Subject: o.ID.String(),
			Note: "KOS cannot tell what became of it: see /ops/parked-changes",
		})
	}
}
