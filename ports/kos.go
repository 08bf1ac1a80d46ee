package ports

import (
	"context"
	"errors"
	"time"

	"phonebill/core/audit"
	"phonebill/core/quota"
)

// ErrNotAsked is in the chain of an error of a KOS port when the call provably never left us: breaker open, quota used up, no
// connection. Such a call costs no attempt.
var ErrNotAsked = errors.New("kos was not asked")

// ErrNoAnswer is in the chain of an error of a KOS port when KOS was asked and did not answer in time.
var ErrNoAnswer = errors.New("kos did not answer in time")

// Quota is the budget of calls to KOS over all instances.
type Quota interface {
	// Take spends one call of the lane, or answers SERVICE_UNAVAILABLE with a Retry-After and ErrNotAsked when the budget leaves none.
	// It never waits for a place.
	Take(ctx context.Context, lane quota.Lane) error
	// OverSpent says that KOS has answered E429 all the same: the budget of all instances shrinks for a while (quota.Squeeze), at
	// least for retryAfter.
	OverSpent(ctx context.Context, retryAfter time.Duration) error
}

// CallLog is the processing history of KOS calls, append-only.
type CallLog interface {
	// Append stores one call.
	Append(ctx context.Context, c audit.Call) error
}
