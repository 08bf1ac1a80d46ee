package ports

import (
	"context"
	"time"

	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/request"
)

// CustomerSource is KOS as far as customers go.
type CustomerSource interface {
	// Customer asks KOS once. LINE_NOT_FOUND is KOS's answer; everything else is SERVICE_UNAVAILABLE. It calls call.Sent
	// when the call has got a connection. NamedError is in the chain of an answer of which the customer's id alone is
	// good.
	Customer(ctx context.Context, call Call, n line.Number) (product.Customer, error)
}

// PlanSource is KOS as far as the plan list goes.
type PlanSource interface {
	// Plans asks KOS once for all plans of all operators, those off sale included. It fails with SERVICE_UNAVAILABLE.
	Plans(ctx context.Context, call Call) ([]product.Plan, error)
}

// PlanChanger is KOS as far as changes go.
type PlanChanger interface {
	// Change sends the order once, on one wire attempt, under its transaction id.
	Change(ctx context.Context, call Call, o product.Order) product.Answer
	// AskStatus asks what became of the order's transaction: AnswerAbsent only when KOS says that it does not know it,
	// AnswerNoQuery when this KOS lacks that query. That it lacks it costs a call once in a while, not each time.
	AskStatus(ctx context.Context, call Call, o product.Order) product.Answer
}

// Customers are the last good copies of customers (ADR 23).
type Customers interface {
	// Latest returns the newest copy, or NOT_FOUND. One from before the line's epoch is NOT_FOUND too (ADR 6). It may
	// return an older copy for a while after a newer one was stored; NOT_FOUND is always exact.
	Latest(ctx context.Context, n line.Number) (product.CustomerCopy, error)
	// LatestCommitted is Latest without that lag.
	LatestCommitted(ctx context.Context, n line.Number) (product.CustomerCopy, error)
	// Put replaces the copy unless the stored one is newer.
	Put(ctx context.Context, c product.CustomerCopy) error
}

// Plans is the last good copy of the plan list.
type Plans interface {
	// Latest returns the copy, or NOT_FOUND. It may return an older one for a while after a newer one was stored;
	// NOT_FOUND is always exact.
	Latest(ctx context.Context) (product.PlansCopy, error)
	// LatestCommitted is Latest without that lag.
	LatestCommitted(ctx context.Context) (product.PlansCopy, error)
	// Put replaces the copy unless the stored one is newer.
	Put(ctx context.Context, c product.PlansCopy) error
}

// Epochs hide every copy of a line from before a moment (ADR 6).
type Epochs interface {
	// Raise hides every copy of the line's data from before at, on every instance, and survives a restart of the
	// cache. An older at than the stored one changes nothing.
	Raise(ctx context.Context, n line.Number, at time.Time) error
	// Of returns the line's epoch, the zero time when there is none.
	Of(ctx context.Context, n line.Number) (time.Time, error)
}

// Orders are the change orders: request history, queue and outbox in one (UFR-PROD-040).
type Orders interface {
	// Add stores a new order durably, takes the line's one live slot (ADR 22) and, when u has a key, the key, all or
	// nothing. ErrKeyUsed when the key stands for another request already; CHANGE_IN_PROGRESS when another order of the
	// line is live. The order is leased to the caller until o.NextAttemptAt.
	Add(ctx context.Context, o product.Order, u request.KeyUse) error
	// Used returns what u's key stands for, as u sees it (KeyUse.SeenBy); NOT_FOUND when it is new or was used before
	// since.
	Used(ctx context.Context, u request.KeyUse, since time.Time) (request.KeyUse, error)
	// Live returns the line's order that is not final, or NOT_FOUND.
	Live(ctx context.Context, n line.Number) (product.Order, error)
	// Get returns the order, or NOT_FOUND.
	Get(ctx context.Context, order id.ID) (product.Order, error)
	// Save stores the progress that the order made at that time and returns it with its new version. CONFLICT when the
	// row is final, or its version or fence is newer: a late worker changes nothing. CONFLICT too when an order would be
	// cancelled, or its transaction id changed, that KOS may have seen. A final order frees the line's slot
	// and is at once due for delivery.
	Save(ctx context.Context, o product.Order, at time.Time) (product.Order, error)
	// Claim leases up to n orders of the queue that are due at now, the longest due first, raising their fence and next
	// attempt to now+lease. Parked orders are not returned. An unreadable row is put off and raises an alert.
	Claim(ctx context.Context, q product.Queue, now time.Time, lease time.Duration, n int) ([]product.Order, error)
	// ChangedSince reports whether an order of the line was completed at or after since, whenever it was requested.
	ChangedSince(ctx context.Context, n line.Number, since time.Time) (bool, error)
	// History returns one page, newest first, and the number of all matches.
	History(ctx context.Context, f product.HistoryFilter) (page []product.Order, total int, err error)
}
