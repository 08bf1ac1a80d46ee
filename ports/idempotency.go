package ports

import (
	"context"
	"errors"
	"time"

	"phonebill/core/id"
	"phonebill/core/request"
)

// ErrKeyUsed tells that an idempotency key stands for another request already.
var ErrKeyUsed = errors.New("the idempotency key is used")

// IdempotencyKeys remember which request a key stands for. Orders keep their own, in one transaction with the order. Of key and payload
// keyed digests alone are kept.
type IdempotencyKeys interface {
	// Claim makes the key stand for u.Request if it is new, was used before since, or stands for the request instead (zero = none). It
	// answers what the key stands for then: u itself, or its first use as u sees it (Use.SeenBy).
	Claim(ctx context.Context, u request.KeyUse, since time.Time, instead id.ID) (request.KeyUse, error)
	// Release makes the key new again where it stands for u.Request.
	Release(ctx context.Context, u request.KeyUse) error
	// Forget drops up to n uses made before, and answers how many it dropped.
	Forget(ctx context.Context, before time.Time, n int) (int, error)
}
