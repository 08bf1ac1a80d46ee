package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/operations"
	"phonebill/core/product"
)

// backlogMost is how many rows of a part are looked at, so that looking costs the same however much waits.
const backlogMost = 10_000

// ChangeBacklog answers, by one statement, the orders that are not final and the results that are not told, by state; also the states in
// which there are none.
func ChangeBacklog(ctx context.Context, pool *pgxpool.Pool) ([]operations.Backlog, error) {
	rows, err := productdb.New(pool).Backlog(ctx, backlogMost)
	if err != nil {
		return nil, translate("read backlog", err)
	}
	all := backlogs(operations.Orders, product.Requested, product.Validated, product.Dispatched, product.Unknown, product.Parked)
	all = append(all, untold()...)
	for _, r := range rows {
		fill(all, r.Kind, r.State, r.Items, r.OldestSeconds)
	}
	return all, nil
}

// BillBacklog answers, by one statement, the inquiries that are not final and the results that are not told, as ChangeBacklog does.
func BillBacklog(ctx context.Context, pool *pgxpool.Pool) ([]operations.Backlog, error) {
	rows, err := billdb.New(pool).Backlog(ctx, backlogMost)
	if err != nil {
		return nil, translate("read backlog", err)
	}
	all := append(backlogs(operations.Inquiries, bill.Processing), untold()...)
	for _, r := range rows {
		fill(all, r.Kind, r.State, r.Items, r.OldestSeconds)
	}
	return all, nil
}

func untold() []operations.Backlog {
	return backlogs(operations.Deliveries, delivery.Pending, delivery.Parked)
}

func backlogs[S ~string](kind operations.BacklogKind, states ...S) []operations.Backlog {
	all := make([]operations.Backlog, len(states))
	for i, s := range states {
		all[i] = operations.Backlog{Kind: kind, State: string(s)}
	}
	return all
}

// fill puts a row where its kind and state are.
func fill(all []operations.Backlog, kind, state string, items int64, oldest float64) {
	for i, b := range all {
		if string(b.Kind) == kind && b.State == state {
			all[i].Items, all[i].Oldest = int(items), time.Duration(oldest*float64(time.Second))
		}
	}
}
