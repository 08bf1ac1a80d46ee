package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/migrations"
)

func number(all []operations.Backlog, err error) (int, error) {
	n := 0
	for _, b := range all {
		n += b.Items
	}
	return n, err
}

// rounded returns ages in whole minutes, so that a slow test passes.
func rounded(all []operations.Backlog) []operations.Backlog {
	for i := range all {
		all[i].Oldest = all[i].Oldest.Truncate(time.Minute)
	}
	return all
}

// TestTheBacklogOfChanges: every open state has its number and the age of its oldest row; what is done does not count.
func TestTheBacklogOfChanges(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Product)
	orders := postgres.NewOrders(db.Pool, keyring(t))
	for n, state := range []product.State{
		product.Requested, product.Validated, product.Dispatched, product.Unknown, product.Unknown, product.Parked,
		product.Completed, product.Failed,
	} {
		o := order(byte(n))
		require.NoError(t, orders.Add(t.Context(), o, request.KeyUse{}))
		o.State = state
		if state.Final() {
			o.ProcessedAt = noon
		}
		if state != product.Requested {
			_, err := orders.Save(t.Context(), o, noon)
			require.NoError(t, err)
		}
		exec(t, db.Admin, `UPDATE change_orders SET requested_at = now() - make_interval(hours => $2),
			processed_at = CASE WHEN processed_at IS NOT NULL THEN now() - make_interval(mins => $2) END WHERE id = $1`,
			o.ID.String(), n)
	}
	exec(t, db.Admin, "UPDATE change_orders SET delivery_state = 'PARKED' WHERE state = 'FAILED'")
	got, err := postgres.ChangeBacklog(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Equal(t, []operations.Backlog{
		{Kind: "orders", State: "REQUESTED", Items: 1}, {Kind: "orders", State: "VALIDATED", Items: 1, Oldest: time.Hour},
		{Kind: "orders", State: "DISPATCHED", Items: 1, Oldest: 2 * time.Hour},
		{Kind: "orders", State: "UNKNOWN", Items: 2, Oldest: 4 * time.Hour},
		{Kind: "orders", State: "PARKED", Items: 1, Oldest: 5 * time.Hour},
		{Kind: "deliveries", State: "PENDING", Items: 1, Oldest: 6 * time.Minute},
		{Kind: "deliveries", State: "PARKED", Items: 1, Oldest: 7 * time.Minute},
	}, rounded(got))
}

func TestTheBacklogOfBills(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	none := []operations.Backlog{
		{Kind: "inquiries", State: "PROCESSING"}, {Kind: "deliveries", State: "PENDING"},
		{Kind: "deliveries", State: "PARKED"},
	}
	got, err := postgres.BillBacklog(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Equal(t, none, got)
	exec(t, db.Admin,
		`INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source, requested_at,
			processed_at, next_attempt_at, delivery_state, delivery_next_at)
		SELECT gen_random_uuid(), 'u', 'c', '', '', '2026-03', CASE WHEN n <= 3 THEN 'PROCESSING' ELSE 'COMPLETED' END, '',
			now() - make_interval(hours => n), CASE WHEN n > 3 THEN now() - make_interval(mins => n) END, now(),
			CASE WHEN n <= 3 THEN 'NONE' WHEN n <= 5 THEN 'PENDING' WHEN n = 6 THEN 'PARKED' ELSE 'DELIVERED' END, now()
		FROM generate_series(1, 8) AS n`)
	got, err = postgres.BillBacklog(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Equal(t, []operations.Backlog{
		{Kind: "inquiries", State: "PROCESSING", Items: 3, Oldest: 3 * time.Hour},
		{Kind: "deliveries", State: "PENDING", Items: 2, Oldest: 5 * time.Minute},
		{Kind: "deliveries", State: "PARKED", Items: 1, Oldest: 6 * time.Minute},
	}, rounded(got))
}

// TestABacklogThatCannotBeReadIsAnError: so is one that takes too long.
func TestABacklogThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for db, ask := range map[migrations.Database]func(context.Context, *pgxpool.Pool) ([]operations.Backlog, error){
		migrations.Product: postgres.ChangeBacklog, migrations.Bill: postgres.BillBacklog,
	} {
		pool := pgtest.New(t, db).Pool
		over, cancel := context.WithTimeout(t.Context(), 0)
		_, err := ask(over, pool)
		cancel()
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	}
}
