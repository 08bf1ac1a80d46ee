package ports

import (
	"context"
	"time"

	"phonebill/core/freshness"
)

// RaisedEpochs lists raised epochs, so that each instance can bring its cache up to date, whichever instance raised
// them.
type RaisedEpochs interface {
	// Raised returns what was raised since, in any order, some perhaps repeatedly, and asOf by the store's clock: a
	// later call with since = asOf misses nothing. since must be an earlier call's asOf; epochs raised before it may be
	// included.
	Raised(ctx context.Context, since time.Time) (raised []freshness.Raise, asOf time.Time, err error)
}
