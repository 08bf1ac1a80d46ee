package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/sealing"
	"phonebill/migrations"
	"phonebill/ports/portstest"
)

// aMillionOrders inserts a million orders of 50,000 customers, of whom a dealer has 10,000 on two lines. The last 6,200
// are not final:
// 2,000 are due, 200 lines have ten results each to deliver, 200 deliveries and 2,000 orders are parked.
const aMillionOrders = `INSERT INTO change_orders (id, transaction_id, user_id, customer_id, line_sealed, line_index,
		from_code, from_name, to_code, to_name, effective_date, state, requested_at, processed_at, next_attempt_at,
		delivery_state, delivery_next_at, delivered_at)
	SELECT gen_random_uuid(), gen_random_uuid(), CASE WHEN i % 100 = 0 THEN 'dealer' ELSE 'user' || i % 50000 END, 'C',
		CASE WHEN i > 995800 THEN ($4::bytea[])[i - 995800] ELSE $3::bytea END,
		CASE WHEN i > 995800 THEN ($5::bytea[])[i - 995800] WHEN i >= 993800 THEN decode(md5('line' || i % 200), 'hex')
			WHEN i % 100 <> 0 THEN decode(md5((i % 50000)::text), 'hex') WHEN i % 200 = 0 THEN $1::bytea ELSE $2::bytea END,
		'A', '가', 'B', '나', date '2026-04-01',
		CASE WHEN i > 998000 THEN 'PARKED' WHEN i > 997000 THEN 'UNKNOWN'
			WHEN i > 996000 THEN 'REQUESTED' WHEN i % 1000 = 0 THEN 'FAILED' ELSE 'COMPLETED' END,
		timestamptz '2025-01-01' + i * interval '1 min',
		CASE WHEN i <= 996000 THEN timestamptz '2025-01-01' + i * interval '1 min' END,
		timestamptz '2025-01-01' + i * interval '1 min',
		CASE WHEN i > 996000 THEN 'NONE' WHEN i > 995800 THEN 'PARKED' WHEN i > 993800 THEN 'PENDING' ELSE 'DELIVERED' END,
		CASE WHEN i BETWEEN 993801 AND 995800 THEN timestamptz '2025-01-01' + i * interval '1 min' END,
		CASE WHEN i <= 993800 THEN timestamptz '2025-01-01' + i * interval '1 min' END
	FROM generate_series(1, 1000000) AS i`

// TestAMillionOrders: pages of history, queues and lists of staff use indexes, with a constant number of statements
// that read only the rows asked for.
func TestAMillionOrders(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("fills a million rows")
	}
	keys, db := keyring(t), pgtest.New(t, migrations.Product)
	one, two := portstest.Line(1), portstest.Line(2)
	sealed, err := keys.Seal(sealing.At("product.change_orders.line"), []byte(one.Digits()))
	require.NoError(t, err)
	_, err = db.Admin.Exec(t.Context(), "ALTER TABLE change_orders SET (autovacuum_enabled = false)")
	require.NoError(t, err)
	dueSealed, dueIndexes := dueLines(t, keys, "product.change_orders.line", 4200)
	_, err = db.Admin.Exec(t.Context(), aMillionOrders, keys.Index("line", one.Digits()), keys.Index("line", two.Digits()),
		sealed, dueSealed, dueIndexes)
	require.NoError(t, err)
	vacuum(t, db, "change_orders")

	now, day := time.Date(2027, 3, 2, 0, 0, 0, 0, time.UTC), calendar.DateOf(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	history := func(f product.HistoryFilter) func(*pgxpool.Pool) (int, error) {
		return func(pool *pgxpool.Pool) (int, error) {
			page, _, err := postgres.NewOrders(pool, keys).History(t.Context(), f)
			return len(page), err
		}
	}
	deliveries := func(f delivery.Filter) func(*pgxpool.Pool) (int, error) {
		return func(pool *pgxpool.Pool) (int, error) {
			page, _, err := postgres.NewChangeOutbox(pool, keys).List(t.Context(), f)
			return len(page), err
		}
	}
	both := []line.Number{one, two}
	for name, c := range map[string]struct {
		call       func(pool *pgxpool.Pool) (int, error)
		rows       int
		index      string
		statements int // on the table
		blocks     int // of each statement
	}{
		"first page": {history(product.HistoryFilter{UserID: "dealer", Lines: both, Page: 1, Size: 20}), 20,
			"Index Only Scan using change_orders_history_states", 2, 800},
		"deepest page": {history(product.HistoryFilter{UserID: "dealer", Lines: both, Page: 90, Size: 100}), 100,
			"Index Only Scan using change_orders_history_states", 3, 1500},
		"range of days": {history(product.HistoryFilter{
			UserID: "dealer", Lines: both, From: day.AddDays(-6), To: day, Page: 1, Size: 20,
		}), 20,
			"Index Only Scan using change_orders_history_states", 2, 200},
		"an ordinary customer": {history(product.HistoryFilter{UserID: "user7", Lines: both, Page: 1, Size: 20}), 0,
			"Index Only Scan using change_orders_history_states", 1, 100},
		"claim of new orders": {func(pool *pgxpool.Pool) (int, error) {
			due, err := postgres.NewOrders(pool, keys).Claim(t.Context(), product.New, now, time.Minute, 10)
			return len(due), err
		}, 10, "change_orders_due", 1, 1000},
		"claim of begun orders": {func(pool *pgxpool.Pool) (int, error) {
			due, err := postgres.NewOrders(pool, keys).Claim(t.Context(), product.Begun, now, time.Minute, 10)
			return len(due), err
		}, 10, "change_orders_begun", 1, 1000},
		"live order of a line": {func(pool *pgxpool.Pool) (int, error) {
			_, err := postgres.NewOrders(pool, keys).Live(t.Context(), portstest.Line(9))
			require.Error(t, err)
			return 0, nil
		}, 0, "change_orders_live", 1, 10},
		"changed this month": {func(pool *pgxpool.Pool) (int, error) {
			changed, err := postgres.NewOrders(pool, keys).ChangedSince(t.Context(), one, now)
			require.False(t, changed)
			return 0, err
		}, 0, "Index Only Scan using change_orders_done", 1, 10},
		"claim of results": {func(pool *pgxpool.Pool) (int, error) {
			lines, err := postgres.NewChangeOutbox(pool, keys).Claim(t.Context(), now, time.Minute, 16, 100)
			return len(lines), err
		}, 16, "change_orders_line_order", 3, 10_000},
		"parked results": {deliveries(delivery.Filter{State: delivery.Parked, Page: 1, Size: 20}), 20, "change_orders_parked",
			3, 1000},
		"backlog": {func(pool *pgxpool.Pool) (int, error) {
			return number(postgres.ChangeBacklog(t.Context(), pool))
		}, 6200, "change_orders_due", 1, 8000},
		"parked orders": {func(pool *pgxpool.Pool) (int, error) {
			page, _, err := postgres.NewParkedOrders(pool, keys).List(t.Context(), 1, 20)
			return len(page), err
		}, 20, "change_orders_ambiguous", 2, 6000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, seen := traced(t, db.URL)
			rows, err := c.call(pool)
			require.NoError(t, err)
			require.Equal(t, c.rows, rows)
			on := 0
			all := analyzedAgain(t, db.Admin, "change_orders", seen, func(plan string) {
				on++
				require.LessOrEqual(t, blocks(t, plan), c.blocks, plan)
				t.Logf("%d blocks, %s", blocks(t, plan), plan[strings.LastIndex(plan, "Execution"):])
			})
			require.Equal(t, c.statements, on, "the number of statements is constant")
			require.NotContains(t, all, "Seq Scan on change_orders")
			require.Contains(t, all, c.index)
		})
	}
}
