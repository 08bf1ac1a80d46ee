package ports

import (
	"context"
	"time"

	"phonebill/core/id"
	"phonebill/core/product"
)

// ReconciliationSource reads the orders with their deliveries for reconciliation. Reading changes nothing, and a page
// takes a constant number of queries. An entry whose line cannot be read has the zero line.
type ReconciliationSource interface {
	// Final returns up to n orders that became final from from until just before to, those after the place, in the
	// order of product.ReconciliationPlace.
	Final(ctx context.Context, from, to time.Time, after product.ReconciliationPlace,
		n int) ([]product.ReconciliationEntry, error)
	// Entry returns one order as it is now, or NOT_FOUND.
	Entry(ctx context.Context, order id.ID) (product.ReconciliationEntry, error)
	// Open returns up to n orders that are not final and were requested before before, with ids above after, in the
	// order of their ids.
	Open(ctx context.Context, before time.Time, after id.ID, n int) ([]product.Order, error)
}

// ReconciliationRuns stores the runs and the differences they found. A difference never changes.
type ReconciliationRuns interface {
	// Begin stores a run that no worker has claimed yet. CONFLICT while another one is not finished.
	Begin(ctx context.Context, run product.ReconciliationRun) error
	// Claim leases the run that is not finished and not leased at now, raising its fence; NOT_FOUND when there is none.
	Claim(ctx context.Context, now time.Time, lease time.Duration) (product.ReconciliationRun, error)
	// Save stores the progress of a claimed run and its new differences, all or nothing, and extends its lease to
	// until. A difference that is stored already is not stored again. CONFLICT when the run has been claimed since or
	// is finished.
	Save(ctx context.Context, run product.ReconciliationRun, until time.Time, found ...product.Difference) error
	// Nightly reports whether a nightly run began at or after since.
	Nightly(ctx context.Context, since time.Time) (bool, error)
	// Report returns a run with its differences; the zero id is the one that began last. NOT_FOUND for an unknown run.
	Report(ctx context.Context, run id.ID) (product.ReconciliationReport, error)
}

// Reconciler lets staff start a reconciliation, in the same process or over the internal API.
type Reconciler interface {
	// Start starts the reconciliation of the orders that became final from from until just before to, and returns the
	// run at once. CONFLICT while another one is going on, VALIDATION_ERROR when to is not after from.
	Start(ctx context.Context, from, to time.Time) (product.ReconciliationRun, error)
	// Report is as in ReconciliationRuns.
	Report(ctx context.Context, run id.ID) (product.ReconciliationReport, error)
}
