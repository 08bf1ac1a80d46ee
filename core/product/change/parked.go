package change

import (
	"context"

	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/ports"
)

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
