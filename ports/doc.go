// Package ports holds what the core asks of the world: small interfaces over nouns. The comment on a method is its
// contract; portstest holds one suite per port, run against the in-memory fake, the real adapter and every decorator.
//
// Unless a method says otherwise it is safe for concurrent use, honours ctx, and answers a fault of kind Unavailable or an
// unclassified error (shown as INTERNAL_SERVER_ERROR) when its backend is in trouble.
package ports

import (
	"context"
	"time"

	"phonebill/core/id"
)

// Clock tells the time. Core never calls time.Now.
type Clock func() time.Time

// IDs makes a new UUIDv7 (ADR 27).
type IDs func() id.ID

// Report tells the operator of trouble that no caller is there to hear of any more.
type Report func(ctx context.Context, err error)

// Random answers a number in [0,1) that spreads retries; it need not be cryptographic.
type Random func() float64
