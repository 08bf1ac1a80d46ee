package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
)

// ServiceKeys are the credentials of other systems that call us for their users (ADR 29). Only hashes are stored.
type ServiceKeys interface {
	// Add stores the key. When its service then has more than two live keys the oldest are retired at the key's
	// CreatedAt, in the same step and under any concurrency. CONFLICT when the hash is taken.
	Add(ctx context.Context, k auth.ServiceKey) error
	// List returns every key, retired ones too, newest first.
	List(ctx context.Context) ([]auth.ServiceKey, error)
	// Retire ends the key; one that is retired stays retired at its first time. NOT_FOUND when there is none.
	Retire(ctx context.Context, hash auth.KeyHash, now time.Time) error
}
