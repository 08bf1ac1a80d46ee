package ports

import (
	"context"
	"errors"

	"phonebill/core/audit"
)

// ErrNotAsked is in the chain of an error of a KOS port when the call provably never left us: breaker open, quota used up, no
// connection. Such a call costs no attempt.
var ErrNotAsked = errors.New("kos was not asked")

// ErrNoAnswer is in the chain of an error of a KOS port when KOS was asked and did not answer in time.
var ErrNoAnswer = errors.New("kos did not answer in time")

// Quota is the budget of calls to KOS over all instances.
type Quota interface {
	// Take spends one call, or answers SERVICE_UNAVAILABLE with a Retry-After and ErrNotAsked when the budget is used up. It
	// never waits for a place.
	Take(ctx context.Context) error
}

// CallLog is the processing history of KOS calls, append-only.
type CallLog interface {
	// Append stores one call.
	Append(ctx context.Context, c audit.Call) error
}
