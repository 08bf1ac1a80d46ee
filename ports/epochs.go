package ports

import (
	"context"
	"time"

	"phonebill/core/freshness"
)

// RaisedEpochs tells which epochs were raised, so that each instance can see to it that its cache knows, whichever instance raised them.
type RaisedEpochs interface {
	// Raised answers what was raised since, in any order, some perhaps again, and asOf by the store's clock: nothing that is stored by then
	// is missed by who asks for what was raised since asOf the next time. since comes from an earlier answer's asOf; what was raised before
	// it may be told too.
	Raised(ctx context.Context, since time.Time) (raised []freshness.Raise, asOf time.Time, err error)
}
