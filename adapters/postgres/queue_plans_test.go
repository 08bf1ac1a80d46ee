package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/delivery"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// andAFew rows among the million are not done with: 2,000 inquiries are due, 200 lines have ten results each that are not told yet, and
// 200 results were parked.
const andAFew = `INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source, failure_code,
		requested_at, next_attempt_at, delivery_state, delivery_next_at)
	SELECT gen_random_uuid(), 'due' || i % 200, 'C', ($1::bytea[])[i % 200 + 1], ($2::bytea[])[i % 200 + 1], '2026-03',
		CASE WHEN i < 2000 THEN 'PROCESSING' ELSE 'FAILED' END, '', CASE WHEN i < 2000 THEN '' ELSE 'BILL_NOT_FOUND' END,
		timestamptz '2026-03-01' + i * interval '1 s', CASE WHEN i < 2000 THEN timestamptz '2026-03-01' + i * interval '1 s' END,
		CASE WHEN i < 2000 THEN 'NONE' WHEN i < 4000 THEN 'PENDING' ELSE 'PARKED' END,
		CASE WHEN i BETWEEN 2000 AND 3999 THEN timestamptz '2026-03-01' + i * interval '1 s' END
	FROM generate_series(0, 4199) AS i`

// dueLines are n lines as they stand sealed in the column of release b0e8e26, and their indexes.
func dueLines(t *testing.T, keys ports.Vault, column string, n int) (sealed, indexes [][]byte) {
	t.Helper()
	for i := range n {
		digits := fmt.Sprintf("0102%07d", i)
		one, err := keys.Seal(sealing.At(column), []byte(digits))
		require.NoError(t, err)
		sealed, indexes = append(sealed, one), append(indexes, keys.Index(ports.LineIndex, digits))
	}
	return sealed, indexes
}

// queuesAmongAMillionRows: what workers and staff ask for is found in an index, and costs what there is to do, not what was done before.
func queuesAmongAMillionRows(t *testing.T, db *pgtest.DB, keys ports.Vault) {
	t.Helper()
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	outbox := func(pool *pgxpool.Pool) *postgres.Outbox[ports.BillResult] {
		return postgres.NewBillOutbox(pool, keys, vault.Bills(keys))
	}
	listing := func(f delivery.Filter) func(pool *pgxpool.Pool) (int, error) {
		return func(pool *pgxpool.Pool) (int, error) {
			page, _, err := outbox(pool).List(t.Context(), f)
			return len(page), err
		}
	}
	for name, c := range map[string]struct {
		call    func(pool *pgxpool.Pool) (int, error)
		rows    int
		indexes []string
		blocks  int // of each statement
	}{
		"claim of inquiries": {func(pool *pgxpool.Pool) (int, error) {
			due, err := postgres.NewInquiries(pool, keys).Claim(t.Context(), now, time.Minute, 10)
			return len(due), err
		}, 10, []string{"inquiries_due", "inquiries_pkey"}, 400},
		"claim of results": {func(pool *pgxpool.Pool) (int, error) {
			lines, err := outbox(pool).Claim(t.Context(), now, time.Minute, 16, 100)
			return len(lines), err
		}, 16, []string{"inquiries_line_order", "inquiries_pkey"}, 10_000},
		"backlog": {func(pool *pgxpool.Pool) (int, error) {
			return number(postgres.BillBacklog(t.Context(), pool))
		}, 4200, []string{"inquiries_due", "inquiries_undelivered", "inquiries_parked"}, 5000},
		"parked results": {listing(delivery.Filter{State: delivery.Parked, Page: 1, Size: 20}), 20, []string{"inquiries_parked"}, 1000},
		"newest results": {listing(delivery.Filter{Page: 1, Size: 20}), 20, []string{"inquiries_pkey"}, 25_000},
		"oldest page":    {listing(delivery.Filter{Page: 100, Size: 100}), 100, []string{"inquiries_pkey"}, 25_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, seen := traced(t, db.URL)
			rows, err := c.call(pool)
			require.NoError(t, err)
			require.Equal(t, c.rows, rows)
			all := analyzedAgain(t, db.Admin, "inquiries", seen, func(one string) {
				require.LessOrEqual(t, blocks(t, one), c.blocks, one)
				t.Logf("%d blocks, %s", blocks(t, one), one[strings.LastIndex(one, "Execution"):])
			})
			require.NotContains(t, all, "Seq Scan on inquiries")
			for _, index := range c.indexes {
				require.Contains(t, all, index)
			}
		})
	}
}

// analyzedAgain runs the statements on the table once more, in a transaction that is not kept, and hands their plans on.
func analyzedAgain(t *testing.T, pool *pgxpool.Pool, table string, seen *statements, check func(plan string)) string {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	var all []string
	for _, s := range seen.all {
		switch {
		case strings.Contains(s.SQL, "pg_advisory"): // it sets how claims are planned
			_, err := tx.Exec(t.Context(), s.SQL, s.Args...)
			require.NoError(t, err)
		case readsOf(table, s.SQL):
			rows, err := tx.Query(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) "+s.SQL, s.Args...)
			require.NoError(t, err)
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			all = append(all, strings.Join(lines, "\n"))
			check(all[len(all)-1])
		}
	}
	require.NotEmpty(t, all)
	return strings.Join(all, "\n\n")
}
