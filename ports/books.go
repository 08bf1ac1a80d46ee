package ports

import (
	"context"
	"time"

	"phonebill/core/id"
	"phonebill/core/product"
)

// Books are the orders and their deliveries as the books are compared by. Reading changes nothing, and a page takes a constant number of
// queries. An entry whose line cannot be read has the zero line.
type ReconciliationSource interface {
	// Final answers up to n orders that became final from from until just before to, those after the place, in the order of
	// product.BookPlace.
	Final(ctx context.Context, from, to time.Time, after product.ReconciliationPlace, n int) ([]product.ReconciliationEntry, error)
	// Entry answers one order as it stands now, or NOT_FOUND.
	Entry(ctx context.Context, order id.ID) (product.ReconciliationEntry, error)
	// Open answers up to n orders that are not final and were requested before before, with ids above after, in the order of their ids.
	Open(ctx context.Context, before time.Time, after id.ID, n int) ([]product.Order, error)
}

// BookRuns are the runs and what they found. What a run found is never changed.
type ReconciliationRuns interface {
	// Begin stores a run that nobody carries on yet. CONFLICT while another one is not finished.
	Begin(ctx context.Context, run product.ReconciliationRun) error
	// Claim leases the run that is not finished and that nobody carries on at now, raising its fence; NOT_FOUND when there is none.
	Claim(ctx context.Context, now time.Time, lease time.Duration) (product.ReconciliationRun, error)
	// Save stores how far a claimed run is and what it has found since, all or nothing, and extends its lease to until. What stands there
	// already is not stored again. CONFLICT when it has been claimed since or is finished.
	Save(ctx context.Context, run product.ReconciliationRun, until time.Time, found ...product.Difference) error
	// Nightly tells whether a nightly run began at or after since.
	Nightly(ctx context.Context, since time.Time) (bool, error)
	// Report answers a run with its differences; the zero id is the one that began last. NOT_FOUND without it.
	Report(ctx context.Context, run id.ID) (product.ReconciliationReport, error)
}

// BookChecks is how staff have the books compared, from wherever they ask.
type Reconciler interface {
	// Start has the orders compared that became final from from until just before to, and answers the run at once. CONFLICT while another
	// one is going on, VALIDATION_ERROR when to is not after from.
	Start(ctx context.Context, from, to time.Time) (product.ReconciliationRun, error)
	// Report is that of BookRuns.
	Report(ctx context.Context, run id.ID) (product.ReconciliationReport, error)
}
