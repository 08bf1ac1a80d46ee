package ports

import (
	"context"
	"errors"
	"time"

	"phonebill/core/id"
	"phonebill/core/request"
)

// RequestStore keeps the requests of one product: history, queue and outbox are one row (docs/adding-a-product.md).
// Bill inquiries and orders have stores of their own with the same rules (Inquiries, Orders).
type RequestStore interface {
	// Add stores a new request durably and, if u has a key, what the key stands for, all or nothing. ErrKeyUsed when
	// the key stands for another request. The request is leased to the caller until r.NextAttemptAt. Its first attempt
	// counts as made when r.Attempts is 1.
	Add(ctx context.Context, r request.Request, u request.KeyUse) error
	// Used returns what u's key belongs to, as u sees it (KeyUse.SeenBy); NOT_FOUND when it is new or was used before
	// since.
	Used(ctx context.Context, u request.KeyUse, since time.Time) (request.KeyUse, error)
	// Get returns the request, or NOT_FOUND.
	Get(ctx context.Context, r id.ID) (request.Request, error)
	// Save stores the progress of a request that is not final. CONFLICT when the row is final or has been claimed since
	// (its fence is newer than r.Fence): a late worker changes nothing. A final request is due for delivery at once.
	Save(ctx context.Context, r request.Request) error
	// Claim leases up to n Processing requests that are due at now until now+lease, the longest due first. It raises their
	// fence and counts one attempt more for each, so that a worker that dies has made it.
	Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]request.Request, error)
	// Parked returns one page of the parked requests, the oldest first, and how many there are.
	Parked(ctx context.Context, page, size int) ([]request.Request, int, error)
	// History returns one page of a user's requests about the subject, the newest first, and how many match in all.
	History(ctx context.Context, f request.HistoryFilter) ([]request.Request, int, error)
}

// RequestResult is what is delivered of a request.
type RequestResult struct{ Request request.Request }

// ErrKeyUsed means that an idempotency key belongs to another request already.
var ErrKeyUsed = errors.New("the idempotency key is used")

// IdempotencyKeys store which request a key belongs to. Orders keep their own, in one transaction with the order. Only
// keyed digests of key and payload are stored.
type IdempotencyKeys interface {
	// Claim makes the key belong to u.Request if it is new, was used before since, or belongs to the request instead
	// (zero = none). It returns what the key belongs to then: u itself, or its first use as u sees it (KeyUse.SeenBy).
	Claim(ctx context.Context, u request.KeyUse, since time.Time, instead id.ID) (request.KeyUse, error)
	// Release makes the key new again if it belongs to u.Request.
	Release(ctx context.Context, u request.KeyUse) error
	// Forget deletes up to n uses made before, and returns how many it deleted.
	Forget(ctx context.Context, before time.Time, n int) (int, error)
}
