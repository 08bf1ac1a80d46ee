package ports

import (
	"context"
	"errors"
	"time"

	"phonebill/core/id"
	"phonebill/core/request"
)

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
