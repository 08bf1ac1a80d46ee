package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/migrations"
)

const aProposal = `INSERT INTO order_resolutions (order_id, at, by_user, outcome, reason, applied)
	VALUES ($1, now(), 'kim', 'FAILED', '', true)`

func TestResolutionsAreKeptAsLongAsTheirOrders(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Product)
	for n, years := range []float64{3.1, 3.2, 2.9} {
		exec(t, db.Admin,
			`INSERT INTO change_orders (id, transaction_id, user_id, customer_id, line_sealed, line_index, from_code,
				from_name, to_code, to_name, effective_date, state, requested_at, next_attempt_at, delivery_state)
			VALUES ($1, $1, 'u', 'c', '', $2, '', '', '', '', now(), 'FAILED', now(), now(), 'DELIVERED')`, idOf(years, n),
			[]byte{byte(n)})
		exec(t, db.Pool, aProposal, idOf(years, n))
		exec(t, db.Pool, aProposal, idOf(years, n))
	}
	require.Equal(t, 2, drain(t, postgres.PurgeChanges(db.Pool), 3, 10))
	require.Equal(t, 2, count(t, db.Admin, "order_resolutions"))
}

func TestParkedOrdersAndNoticesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	keys := keyring(t)
	db, seen := pgtest.New(t, migrations.Product), &statements{}
	exec(t, db.Admin, orders)
	exec(t, db.Admin, "UPDATE change_orders SET state = 'PARKED' WHERE state = 'UNKNOWN' AND requested_at < '2026-01-03'")
	exec(t, db.Admin, "UPDATE change_orders SET notify_at = requested_at WHERE delivery_state = 'PENDING'")
	exec(t, db.Admin,
		"INSERT INTO order_steps (order_id, state, result_code, sends) SELECT id, state, '', 0 FROM change_orders")
	exec(t, db.Admin, "ANALYZE change_orders")
	exec(t, db.Admin, "ANALYZE order_steps")
	config, err := pgxpool.ParseConfig(db.URL)
	require.NoError(t, err)
	config.ConnConfig.Tracer = seen
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	page, total, err := postgres.NewParkedOrders(pool, keys).List(t.Context(), 1, 20)
	require.NoError(t, err)
	require.Len(t, page, total)
	require.NotZero(t, total)
	require.Empty(t, page[0].Line, "what cannot be opened is shown without its line")
	_, err = postgres.NewNotices(pool, keys).Claim(t.Context(), time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC), time.Minute,
		10)
	require.Error(t, err, "what cannot be opened cannot be handed out")
	plan := explain(t, db.Admin, seen, "change_orders")
	for _, table := range []string{"change_orders", "order_steps", "order_resolutions"} {
		require.NotContains(t, plan, "Seq Scan on "+table)
	}
	for _, index := range []string{"change_orders_ambiguous", "change_orders_untold", "order_steps_pkey",
		"order_resolutions_pkey"} {
		require.Contains(t, plan, index)
	}
}

// TestOneUnreadableOrderDelaysNoNotice: it stays leased, and the others are handed out.
func TestOneUnreadableOrderDelaysNoNotice(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Product), keyring(t)
	rows := postgres.NewOrders(db.Pool, keys)
	for n := range byte(3) {
		o := order(n)
		require.NoError(t, rows.Add(t.Context(), o, request.KeyUse{}))
		o.State, o.ProcessedAt = product.Completed, noon.Add(time.Duration(n)*time.Second)
		_, err := rows.Save(t.Context(), o, noon)
		require.NoError(t, err)
	}
	exec(t, db.Admin, "UPDATE change_orders SET line_sealed = 'damaged' WHERE id = $1", id.ID{1}.String())
	claimed, err := postgres.NewNotices(db.Pool, keys).Claim(t.Context(), noon.Add(time.Minute), time.Minute, 10)
	require.ErrorContains(t, err, id.ID{1}.String())
	require.Len(t, claimed, 2)
	require.Equal(t, []id.ID{{0}, {2}}, []id.ID{claimed[0].Order.ID, claimed[1].Order.ID})
}

// TestAResolutionIsOneTransaction: a resolution that cannot be stored is not carried out, and an unreadable order stays
// as it is.
func TestAResolutionIsOneTransaction(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Product), keyring(t)
	rows, parked := postgres.NewOrders(db.Pool, keys), postgres.NewParkedOrders(db.Pool, keys)
	o := order(1)
	require.NoError(t, rows.Add(t.Context(), o, request.KeyUse{}))
	o.State = product.Parked
	o, err := rows.Save(t.Context(), o, noon)
	require.NoError(t, err)
	resolve := func(by auth.UserID) (product.Judgement, error) {
		return parked.Resolve(t.Context(), o.ID,
			product.Resolution{Outcome: product.OutcomeFailed, Reason: "KOS에 없음", By: by, At: noon},
			func(context.Context, product.Order) error { return nil })
	}
	_, err = resolve("kim")
	require.NoError(t, err)
	exec(t, db.Admin, "REVOKE INSERT ON order_resolutions FROM phonebill_product")
	_, err = resolve("lee")
	requireDenied(t, err)
	after, err := rows.Get(t.Context(), o.ID)
	require.NoError(t, err)
	require.Equal(t, o, after)
	exec(t, db.Admin, "GRANT INSERT ON order_resolutions TO phonebill_product")
	exec(t, db.Admin, "UPDATE change_orders SET line_sealed = 'damaged'")
	_, err = resolve("lee")
	require.Equal(t, fault.InternalServerError, fault.From(err).Code())
	exec(t, db.Admin, "UPDATE change_orders SET line_sealed = ''")
	require.Equal(t, []string{"PARKED"}, texts(t, db.Admin, "SELECT state FROM change_orders"))
}

// TestAResolutionWaitsNoLongerThanItsCaller for the lock of the order.
func TestAResolutionWaitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Product), keyring(t)
	require.NoError(t, postgres.NewOrders(db.Pool, keys).Add(t.Context(), order(1), request.KeyUse{}))
	first, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = first.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = first.Exec(t.Context(), "SELECT 1 FROM change_orders FOR UPDATE")
	require.NoError(t, err)
	impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = postgres.NewParkedOrders(db.Pool, keys).Resolve(impatient, id.ID{1}, product.Resolution{}, nil)
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
}
