package ports

import (
	"context"
	"time"

	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/id"
	"phonebill/core/product"
)

// BillResult is what is delivered of an inquiry; Bill is nil when it failed.
type BillResult struct {
	Inquiry bill.Inquiry
	Bill    *bill.Bill
}

// ChangeResult is what is delivered of an order.
type ChangeResult struct{ Order product.Order }

// Outbox returns final results that are not delivered yet. A result's own row is its outbox entry (ADR 3), so an
// acknowledged result cannot be lost on the way.
type Outbox[T any] interface {
	// Claim leases up to lines lines that are due at now until now+lease, and returns the oldest events of each, up to
	// each of them: a slice per line, in the order of delivery. A line is leased as a whole: until its events are
	// settled or the lease is over, no other claim gets it. Sequence numbers are given at the first claim, per line
	// from 1 and without gaps; an event with a number comes before those without. A line is due when its first event
	// is. Repeated claims reach every line that is due.
	Claim(ctx context.Context, now time.Time, lease time.Duration, lines, each int) ([][]delivery.Item[T], error)
	// Settle stores the results of claimed items at now: those of a line at once, so that it is due again when its
	// first pending event is. An attempt that was not made is not counted. CONFLICT when some of the items have been
	// claimed since (their fence is newer) or are not pending any more; the others are settled all the same.
	Settle(ctx context.Context, now time.Time, items ...delivery.AttemptResult) error
}

// Deliveries lets staff list the events of one outbox, and have one delivered again.
type Deliveries interface {
	// List returns one page of the events that match, those of the newest requests first, with their last attempts, and
	// how many match (at most delivery.MaxCounted).
	List(ctx context.Context, f delivery.Filter) (page []delivery.Listed, total int, err error)
	// Replay makes a delivered or parked event pending again, under its id and its number: with three days and no
	// attempts, due at now or when the current lease of its line is over. NOT_FOUND for an unknown event, CONFLICT when
	// it is pending or not final.
	Replay(ctx context.Context, event id.ID, now time.Time) error
}

// Publisher delivers to the MVNO AP server. A message bus fits here later (ADR 3): Item.Subject is the session key.
type Publisher[T any] interface {
	// Ready returns how many of n attempts may be made now; 0 while the circuit breaker is open. A worker that calls it
	// before claiming claims no item in vain.
	Ready(n int) int
	// Publish makes one attempt and returns its outcome; it has no other error. NotAttempted means that no attempt was
	// made.
	Publish(ctx context.Context, item delivery.Item[T]) delivery.Attempt
}
