package change

import (
	"context"
	"errors"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
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
