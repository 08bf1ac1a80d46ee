// Package ports holds the interfaces that the core needs: small ones over nouns. The comment on a method is its
// contract; portstest holds one suite per port, run against the in-memory fake, the real adapter and every decorator.
//
// Unless a method says otherwise it is safe for concurrent use, honours ctx, and returns a fault of kind Unavailable or
// an unclassified error (shown as INTERNAL_SERVER_ERROR) when its backend fails. Begin with BillSource (bill.go).
package ports

import (
	"context"
	"time"

	"phonebill/core/id"
)

// Clock returns the current time. Core never calls time.Now.
type Clock func() time.Time

// IDs makes a new UUIDv7 (ADR 27).
type IDs func() id.ID

// Report logs an error for the operator when no caller is left to receive it.
type Report func(ctx context.Context, err error)

// Random returns a number in [0,1) that spreads retries; it need not be cryptographic.
type Random func() float64
