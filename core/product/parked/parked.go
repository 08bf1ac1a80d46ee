// Package parked is where orders are decided that nobody can tell the outcome of (ADR 21): Service in the service that has the orders,
// Desk where staff ask.
package parked

import (
	"context"

	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Service implements ports.ParkedChanges. All fields are required; it is safe for concurrent use.
type Service struct {
	Orders ports.ParkedOrders
	Epochs ports.Epochs
	Now    ports.Clock
}

var _ ports.ParkedChanges = (*Service)(nil)

// List answers one page, those requested first coming first, and how many there are.
func (s *Service) List(ctx context.Context, page, size int) ([]product.ParkedOrder, int, error) {
	return s.Orders.List(ctx, page, size)
}

// Resolve judges what a person says of an order now, by the rule of four eyes.
func (s *Service) Resolve(ctx context.Context, order id.ID, r product.Resolution) (product.Judgement, error) {
	r.At = s.Now()
	return s.Orders.Resolve(ctx, order, r, s.dropCopies)
}

// dropCopies comes before an order is seen as done, as when KOS has answered (ADR 6).
func (s *Service) dropCopies(ctx context.Context, o product.Order) error {
	return s.Epochs.Raise(ctx, o.Line, s.Now().Add(freshness.Skew))
}
