package postgres

import (
	"context"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/ports"
)

// PurgeInquiries drops old inquiries with their deliveries.
func PurgeInquiries(bill *pgxpool.Pool) ports.Purge {
	return func(ctx context.Context, years, n int) (int, bool, error) {
		return purged(billdb.New(bill).PurgeInquiries(ctx,
			billdb.PurgeInquiriesParams{KeepYears: period(years), Batch: int64(n)}))
	}
}

// PurgeBills deletes old bills that newer ones have replaced. A pass goes once over all old bills, n at a time; its
// place is kept between calls, also after an error, until the pass is over.
func PurgeBills(bill *pgxpool.Pool) ports.Purge {
	var mu sync.Mutex
	var after uuid.UUID
	return func(ctx context.Context, years, n int) (int, bool, error) {
		mu.Lock()
		defer mu.Unlock()
		got, err := billdb.New(bill).PurgeReplacedBills(ctx, billdb.PurgeReplacedBillsParams{
			KeepYears: period(years), Stretch: int64(n), After: after,
		})
		if err != nil {
			return 0, false, translate("purge", err)
		}
		after = got.Reached
		return int(got.Dropped), after != uuid.Nil, nil
	}
}

// PurgeChanges drops old orders that are final, with their steps and deliveries.
func PurgeChanges(product *pgxpool.Pool) ports.Purge {
	return func(ctx context.Context, years, n int) (int, bool, error) {
		return purged(productdb.New(product).PurgeChangeOrders(ctx, productdb.PurgeChangeOrdersParams{
			KeepYears: period(years), Batch: int64(n),
		}))
	}
}

// PurgeRequests drops old requests that are final, with their deliveries, of a product that has no table of its own.
func PurgeRequests(database *pgxpool.Pool) ports.Purge {
	return func(ctx context.Context, years, n int) (int, bool, error) {
		return purged(requestdb.New(database).PurgeRequests(ctx,
			requestdb.PurgeRequestsParams{KeepYears: period(years), Batch: int64(n)}))
	}
}

// PurgeCalls drops old entries of the KOS call log.
func PurgeCalls(kos *pgxpool.Pool) ports.Purge {
	return func(ctx context.Context, years, n int) (int, bool, error) {
		return purged(kosdb.New(kos).PurgeKosCalls(ctx, kosdb.PurgeKosCallsParams{KeepYears: period(years), Batch: int64(n)}))
	}
}

// PurgeLogins drops old entries of the login history.
func PurgeLogins(auth *pgxpool.Pool) ports.Purge {
	return func(ctx context.Context, years, n int) (int, bool, error) {
		return purged(authdb.New(auth).PurgeLoginHistory(ctx,
			authdb.PurgeLoginHistoryParams{KeepYears: period(years), Batch: int64(n)}))
	}
}

func purged(n int64, err error) (int, bool, error) { return int(n), n > 0, translate("purge", err) }

// period is a number of years that PostgreSQL can take from now.
func period(years int) int32 { return int32(min(max(years, 0), 1000)) }

// PurgeReconciliationRuns deletes old reconciliation runs with their differences.
func PurgeReconciliationRuns(product *pgxpool.Pool) ports.Purge {
	return func(ctx context.Context, years, n int) (int, bool, error) {
		return purged(productdb.New(product).PurgeReconciliationRuns(ctx,
			productdb.PurgeReconciliationRunsParams{KeepYears: period(years), Batch: int64(n)}))
	}
}
