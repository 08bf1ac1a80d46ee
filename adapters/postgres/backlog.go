package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/operations"
	"phonebill/core/product"
)

// backlogMost bounds the rows of a part that are counted, so that the cost does not grow with the backlog.
const backlogMost = 10_000

// ChangeBacklog returns, by one statement, how many orders are not final and how many results are not delivered, by
// state; states without any are included.
func ChangeBacklog(ctx context.Context, pool *pgxpool.Pool) ([]operations.Backlog, error) {
	return backlog(ctx, pool, operations.Orders, backlogs(operations.Orders,
		product.Requested, product.Validated, product.Dispatched, product.Unknown, product.Parked))
}

// BillBacklog returns, by one statement, how many inquiries are not final and how many results are not delivered, by
// state.
func BillBacklog(ctx context.Context, pool *pgxpool.Pool) ([]operations.Backlog, error) {
	return backlog(ctx, pool, operations.Inquiries, backlogs(operations.Inquiries, bill.Processing))
}

func backlog(
	ctx context.Context, pool *pgxpool.Pool, kind operations.BacklogKind, all []operations.Backlog,
) ([]operations.Backlog, error) {
	rows, err := requestdb.New(pool).Backlog(ctx, backlogMost)
	if err != nil {
		return nil, translate("read backlog", err)
	}
	all = append(all, backlogs(operations.Deliveries, delivery.Pending, delivery.Parked)...)
	for _, r := range rows {
		of := kind
		if r.Part == string(operations.Deliveries) {
			of = operations.Deliveries
		}
		fill(all, of, r.State, r.Items, r.OldestSeconds)
	}
	return all, nil
}

func backlogs[S ~string](kind operations.BacklogKind, states ...S) []operations.Backlog {
	all := make([]operations.Backlog, len(states))
	for i, s := range states {
		all[i] = operations.Backlog{Kind: kind, State: string(s)}
	}
	return all
}

func fill(all []operations.Backlog, kind operations.BacklogKind, state string, items int64, oldest float64) {
	for i, b := range all {
		if b.Kind == kind && b.State == state {
			all[i].Items, all[i].Oldest = int(items), time.Duration(oldest*float64(time.Second))
		}
	}
}
