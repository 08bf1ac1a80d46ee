package ports

import (
	"context"
	"time"

	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/product"
)

// BillResult is what the MVNO AP server is told of an inquiry; Bill is nil when it failed.
type BillResult struct {
	Inquiry bill.Inquiry
	Bill    *bill.Bill
}

// ChangeResult is what the MVNO AP server is told of an order.
type ChangeResult struct{ Order product.Order }

// Outbox hands out final results that the MVNO AP server has not been told yet. A result's own row is its outbox entry
// (decision 14), so an acknowledged result cannot be lost on the way.
type Outbox[T any] interface {
	// Claim leases up to n items due at now until now+lease. Of one line at most one item is out at a time, the oldest; its
	// sequence number is given at its first claim.
	Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]delivery.Item[T], error)
	// Settle records an attempt: the new state and, when Pending, the time of the next try. CONFLICT when the item has been
	// claimed since (its fence is newer).
	Settle(ctx context.Context, item delivery.Item[T], a delivery.Attempt, s delivery.State, now, next time.Time) error
}

// Publisher tells the MVNO AP server. A message bus fits here later (decision 22): Item.Line is the session key.
type Publisher[T any] interface {
	// Ready answers how many of n attempts may be made now; 0 while the receiver is left alone because it did not answer. Who asks before
	// he claims items claims none in vain.
	Ready(n int) int
	// Publish makes one attempt and says what came of it; it never errs otherwise. Held means that none was made.
	Publish(ctx context.Context, item delivery.Item[T]) delivery.Attempt
}
