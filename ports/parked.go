package ports

import (
	"context"
	"time"

	"phonebill/core/id"
	"phonebill/core/product"
)

// ParkedOrders are the orders that a person must decide on, as the store has them (ADR 21).
type ParkedOrders interface {
	// List returns one page, those requested first coming first, and how many there are (at most
	// product.MaxParkedCounted). page counts from 1.
	List(ctx context.Context, page, size int) (parked []product.ParkedOrder, total int, err error)
	// Resolve judges r against the last proposal (Resolution.Judge) and stores it; when it is Confirmed, the order is
	// saved as Orders.Save does it. All of that is one transaction under the order's lock, so two persons at the same
	// moment are judged one after the other. It fails with NOT_FOUND for an unknown order and CONFLICT when it is not
	// parked (any more) or r only repeats its own proposal; then nothing is stored. beforeDone is called with an order
	// that is about to be completed, before that is stored; its error is returned, and nothing is stored.
	Resolve(
		ctx context.Context, order id.ID, r product.Resolution, beforeDone func(context.Context, product.Order) error,
	) (product.Judgement, error)
}

// ParkedChanges is the same for staff, in the same process or over the internal API.
type ParkedChanges interface {
	// List is as in ParkedOrders.
	List(ctx context.Context, page, size int) (parked []product.ParkedOrder, total int, err error)
	// Resolve is as in ParkedOrders; before an order is completed, all copies of its line's data are dropped (ADR 6).
	Resolve(ctx context.Context, order id.ID, r product.Resolution) (product.Judgement, error)
}

// Notices are the orders that have ended and whose customer must be notified. The order's own row is its notice, made
// by the write that ends it, so none is lost.
type Notices interface {
	// Claim leases up to n notices that are due at now until now+lease, those that are due longest coming first. One
	// that cannot be read stays leased and is named in err; the others are returned beside it.
	Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]product.Notice, error)
	// Notified deletes a claimed notice: the customer was notified at that time. CONFLICT when it has been claimed
	// since, or does not exist any more.
	Notified(ctx context.Context, n product.Notice, at time.Time) error
	// Failed counts an attempt, and makes the notice due again at next. CONFLICT as for Notified.
	Failed(ctx context.Context, n product.Notice, next time.Time) error
}

// Notifier notifies customers.
type Notifier interface {
	// ChangeEnded notifies the customer of an order of its end. After a crash it may happen twice; o.ID identifies the
	// order.
	ChangeEnded(ctx context.Context, o product.Order) error
}
