package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/migrations"
)

// busyYear is 1,000 lines with up to 20 orders each, one a minute, nearly all notified. The first 50 are still open.
const busyYear = `INSERT INTO change_orders (id, transaction_id, user_id, customer_id, line_sealed, line_index,
		from_code, from_name, to_code, to_name, effective_date, state, requested_at, processed_at, next_attempt_at,
		delivery_state, delivery_sequence, delivered_at)
	SELECT gen_random_uuid(), gen_random_uuid(), 'user' || i % 500, 'C', ''::bytea, decode(md5((i % 1000)::text), 'hex'),
		'', '', '', '', '2026-04-01', CASE WHEN i < 50 THEN 'PARKED' ELSE 'COMPLETED' END,
		timestamptz '2026-01-01' + i * interval '1 min',
		CASE WHEN i >= 50 THEN timestamptz '2026-01-01' + i * interval '1 min' END, timestamptz '2026-01-01',
		CASE WHEN i < 50 THEN 'NONE' ELSE 'DELIVERED' END, CASE WHEN i >= 50 THEN i / 1000 + 1 END,
		timestamptz '2026-01-01' + i * interval '1 min'
	FROM generate_series(0, 19999) AS i`

// TestReconciliationUsesIndexes: it makes as many queries for a hundred orders as for one.
func TestReconciliationUsesIndexes(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Product), keyring(t)
	exec(t, db.Admin, busyYear)
	exec(t, db.Admin, `INSERT INTO delivery_attempts (event_id, fence, at, state, note)
		SELECT id, 1, now(), 'DELIVERED', '' FROM change_orders WHERE delivery_state = 'DELIVERED'`)
	exec(t, db.Admin, "ANALYZE change_orders")
	exec(t, db.Admin, "ANALYZE delivery_attempts")
	pool, seen := traced(t, db.URL)
	source, year := postgres.NewReconciliationSource(pool, keys), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, n := range []int{1, 100} {
		seen.all = nil
		after := product.ReconciliationPlace{At: year.AddDate(0, 0, 6)}
		page, err := source.Final(t.Context(), year.AddDate(0, 0, 5), year.AddDate(0, 0, 7), after, n)
		require.NoError(t, err)
		require.Len(t, page, n)
		require.True(t, page[0].Order.Line.IsZero(), "a line that cannot be opened holds nothing up")
		require.Equal(t, page[0].Delivery.Sequence-1, page[0].Previous.Sequence)
		require.True(t, page[0].Superseded)
		require.False(t, page[0].DuplicateSequence)
		require.Equal(t, 1, page[0].Delivery.Accepted)
		require.Len(t, seen.all, 2)
	}
	open, err := source.Open(t.Context(), year.AddDate(0, 0, 1), id.ID{}, 100)
	require.NoError(t, err)
	require.Len(t, open, 50)
	plan := explain(t, db.Admin, seen, "change_orders")
	for _, table := range []string{"change_orders", "delivery_attempts"} {
		require.NotContains(t, plan, "Seq Scan on "+table)
	}
	for _, index := range []string{
		"change_orders_final", "change_orders_numbered", "change_orders_done", "change_orders_pkey", "delivery_attempts_pkey",
		"change_orders_live",
	} {
		require.Contains(t, plan, index)
	}
	exec(t, db.Admin,
		"UPDATE change_orders SET delivery_sequence = 3 WHERE line_index = decode(md5('7'), 'hex') AND delivery_sequence = 4")
	page, err := source.Final(t.Context(), year, year.AddDate(0, 1, 0), product.ReconciliationPlace{}, 20_000)
	require.NoError(t, err)
	twins := 0
	for _, e := range page {
		if e.DuplicateSequence {
			twins++
		}
	}
	require.Equal(t, 2, twins)
}

func TestReconciliationReportsAreKeptThreeYears(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Product)
	for n, years := range []float64{3.1, 3.2, 2.9} {
		exec(t, db.Pool, `INSERT INTO book_runs (id, nightly, from_at, to_at, started_at, finished_at, lease_until)
			VALUES ($1, true, now(), now(), now(), now(), now())`, idOf(years, n))
		exec(t, db.Pool, `INSERT INTO book_differences (run_id, order_id, kind, found_at, detail)
			VALUES ($1, $1, 'NOT_TOLD', now(), ''), ($1, $1, 'KOS_PLAN_DIFFERS', now(), '')`, idOf(years, n))
	}
	exec(t, db.Pool, `INSERT INTO book_runs (id, nightly, from_at, to_at, started_at, lease_until)
		VALUES ($1, true, now(), now(), now(), now())`, idOf(4, 9))
	require.Equal(t, 2, drain(t, postgres.PurgeReconciliationRuns(db.Pool), 1, 10),
		"no period shorter than the one prescribed")
	require.Equal(t, 2, count(t, db.Admin, "book_runs"), "what goes on stays")
	require.Equal(t, 2, count(t, db.Admin, "book_differences"))
}

// TestADifferenceOutlivesItsOrder: it is shown without its line.
func TestADifferenceOutlivesItsOrder(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Product), keyring(t)
	runs := postgres.NewReconciliationRuns(db.Pool, keys)
	require.NoError(t,
		runs.Begin(t.Context(), product.ReconciliationRun{ID: id.ID{1}, From: noon, To: noon, StartedAt: noon}))
	run, err := runs.Claim(t.Context(), noon, time.Minute)
	require.NoError(t, err)
	d := product.Difference{RequestID: id.ID{2}, Kind: product.NotDelivered, Found: noon, Text: "its delivery is parked"}
	require.NoError(t, runs.Save(t.Context(), run, noon, d))
	report, err := runs.Report(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, []product.Difference{d}, report.Differences)

	exec(t, db.Admin, "REVOKE INSERT ON book_differences FROM phonebill_product")
	run.Finished = noon
	requireDenied(t, runs.Save(t.Context(), run, noon, d))
	report, err = runs.Report(t.Context(), run.ID)
	require.NoError(t, err)
	require.Zero(t, report.Run.Finished, "all or nothing")
}

func TestReconciliationWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Product), keyring(t)
	require.NoError(t, postgres.NewOrders(db.Pool, keys).Add(t.Context(), order(1), request.KeyUse{}))
	source, runs := postgres.NewReconciliationSource(db.Pool, keys), postgres.NewReconciliationRuns(db.Pool, keys)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"final":   func() error { _, err := source.Final(ctx, noon, noon, product.ReconciliationPlace{}, 1); return err },
		"entry":   func() error { _, err := source.Entry(ctx, id.ID{1}); return err },
		"open":    func() error { _, err := source.Open(ctx, noon, id.ID{}, 1); return err },
		"begin":   func() error { return runs.Begin(ctx, product.ReconciliationRun{}) },
		"claim":   func() error { _, err := runs.Claim(ctx, noon, time.Minute); return err },
		"save":    func() error { return runs.Save(ctx, product.ReconciliationRun{}, noon) },
		"nightly": func() error { _, err := runs.Nightly(ctx, noon); return err },
		"report":  func() error { _, err := runs.Report(ctx, id.ID{}); return err },
		"purge":   func() error { _, _, err := postgres.PurgeReconciliationRuns(db.Pool)(ctx, 3, 1); return err },
	} {
		require.ErrorIs(t, call(), context.Canceled, name)
	}
}
