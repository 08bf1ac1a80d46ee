package postgres_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/line"
	"phonebill/core/sealing"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// aMillion rows of 2,000 customers, one of whom (heavy) has 20,000 on two lines; of those every 50th failed.
const aMillion = `INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source,
		requested_at, processed_at, delivery_state, delivered_at)
	SELECT gen_random_uuid(), CASE WHEN i % 50 = 0 THEN 'heavy' ELSE 'user' || i % 2000 END, 'C', $3::bytea,
		CASE WHEN i % 50 <> 0 THEN decode(md5((i % 2000)::text), 'hex') WHEN i % 100 = 0 THEN $1::bytea ELSE $2::bytea END,
		'2026-03',
		CASE WHEN i % 2500 = 0 THEN 'FAILED' ELSE 'COMPLETED' END, 'CACHE', timestamptz '2025-01-01' + i * interval '1 min',
		timestamptz '2025-01-01' + i * interval '1 min', 'DELIVERED', timestamptz '2025-01-01' + i * interval '1 min'
	FROM generate_series(1, 1000000) AS i`

// TestHistoryPlansWithManyRows: a page and its count are two statements on one index, for every filter and page, and
// read only the customer's rows. Nor do queues cost more among a million rows than alone (queuesAmongAMillionRows).
func TestHistoryPlansWithManyRows(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("fills a million rows")
	}
	keys, db := keyring(t), pgtest.New(t, migrations.Bill)
	one, two := portstest.Line(1), portstest.Line(2)
	index := func(n line.Number) []byte { return keys.Index("line", n.Digits()) }
	sealed, err := keys.Seal(sealing.At("bill.inquiries.line"), []byte(one.Digits()))
	require.NoError(t, err)
	// the test does it, at its own time
	_, err = db.Admin.Exec(t.Context(), "ALTER TABLE inquiries SET (autovacuum_enabled = false)")
	require.NoError(t, err)
	_, err = db.Admin.Exec(t.Context(), aMillion, index(one), index(two), sealed)
	require.NoError(t, err)
	dueSealed, dueIndexes := dueLines(t, keys, "bill.inquiries.line", 200)
	_, err = db.Admin.Exec(t.Context(), andAFew, dueSealed, dueIndexes)
	require.NoError(t, err)
	vacuum(t, db, "inquiries")

	queuesAmongAMillionRows(t, db, keys)
	day := calendar.DateOf(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	heavy := func(f bill.HistoryFilter) bill.HistoryFilter {
		f.UserID, f.Size = "heavy", max(f.Size, 20)
		f.Page = max(f.Page, 1)
		if f.Lines == nil {
			f.Lines = []line.Number{one, two}
		}
		return f
	}
	for name, c := range map[string]struct {
		filter      bill.HistoryFilter
		rows, total int
		statements  int // the count; the first row of a later page; the rows, if there are any
		blocks      int // read or found in memory by each statement, at most
	}{
		"first page":         {heavy(bill.HistoryFilter{}), 20, 20_000, 2, 1200},
		"one line":           {heavy(bill.HistoryFilter{Lines: []line.Number{two}}), 20, 10_000, 2, 1200},
		"rare status":        {heavy(bill.HistoryFilter{Status: bill.Failed}), 20, 400, 2, 1600},
		"status that is not": {heavy(bill.HistoryFilter{Status: bill.Processing}), 0, 0, 1, 1600},
		"range of days":      {heavy(bill.HistoryFilter{From: day.AddDays(-6), To: day}), 20, 201, 2, 200},
		"since a day":        {heavy(bill.HistoryFilter{From: day.AddDays(-6)}), 20, 0, 2, 1200},
		"deepest page":       {heavy(bill.HistoryFilter{Page: 100, Size: 100}), 100, 20_000, 3, 2000},
		"an ordinary customer": {bill.HistoryFilter{UserID: "user7", Lines: []line.Number{one}, Page: 1, Size: 20}, 0, 0,
			1, 100},
		"a customer without rows": {bill.HistoryFilter{UserID: "nobody", Lines: []line.Number{one}, Page: 1, Size: 20}, 0, 0,
			1, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, seen := traced(t, db.URL)
			page, total, err := postgres.NewInquiries(pool, keys).History(t.Context(), c.filter)
			require.NoError(t, err)
			require.Len(t, page, c.rows)
			if c.total > 0 {
				require.Equal(t, c.total, total)
			}
			require.Len(t, seen.all, c.statements)
			for _, s := range seen.all {
				plan := analyzed(t, db.Admin, s)
				require.NotContains(t, plan, "Seq Scan")
				switch {
				case strings.Contains(s.SQL, "InquiryHistory"): // rows of a rare status are in an index of their own, too
					require.Regexp(t, "Index Scan using inquiries_(history_pages|uncompleted)", plan)
				case c.filter.Status != bill.Processing:
					require.Contains(t, plan, "Index Only Scan using inquiries_history_pages")
				}
				require.LessOrEqual(t, blocks(t, plan), c.blocks, plan)
				t.Logf("%d blocks, %s", blocks(t, plan), plan[strings.LastIndex(plan, "Execution"):])
			}
		})
	}
}

// vacuum repeats until all rows are known to be visible: snapshots of other tests on the server may delay that.
func vacuum(t *testing.T, db *pgtest.DB, table string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := db.Admin.Exec(t.Context(), "VACUUM ANALYZE "+table)
		require.NoError(t, err)
		var vacuumed bool
		require.NoError(t, db.Admin.QueryRow(t.Context(),
			"SELECT relallvisible = relpages FROM pg_class WHERE relname = $1", table).Scan(&vacuumed))
		return vacuumed
	}, 60*time.Second, 100*time.Millisecond)
}

// TestPagesAreReadFromTheReadPool: with a pool for reads, the other one gets only the writes.
func TestPagesAreReadFromTheReadPool(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	writes, wrote := traced(t, db.URL)
	reads, read := traced(t, db.URL)
	inquiries, q := postgres.OpenInquiries(writes, keyring(t), postgres.InquiryOptions{Reads: reads}), answered()
	require.NoError(t, inquiries.Add(t.Context(), q))
	page, total, err := inquiries.History(t.Context(),
		bill.HistoryFilter{UserID: q.UserID, Lines: []line.Number{q.Line}, Page: 1, Size: 9})
	require.NoError(t, err)
	require.Equal(t, []any{1, 1}, []any{len(page), total})
	require.Len(t, read.all, 2)
	require.Len(t, wrote.all, 1)
}

func analyzed(t *testing.T, pool *pgxpool.Pool, s pgx.TraceQueryStartData) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) "+s.SQL, s.Args...)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

var buffers = regexp.MustCompile(`Buffers: shared (?:hit=(\d+))?(?: ?read=(\d+))?`)

// blocks returns how many blocks the statement used: the first figure in a plan is that of its root.
func blocks(t *testing.T, plan string) (n int) {
	t.Helper()
	found := buffers.FindStringSubmatch(plan)
	require.NotNil(t, found, plan)
	for _, figure := range found[1:] {
		if figure != "" {
			v, err := strconv.Atoi(figure)
			require.NoError(t, err, fmt.Sprint(found))
			n += v
		}
	}
	return n
}

// andAFew rows among the million are not done: 2,000 inquiries are due, 200 lines have ten results each to deliver, and
// 200 results are parked.
const andAFew = `INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source,
		failure_code, requested_at, next_attempt_at, delivery_state, delivery_next_at)
	SELECT gen_random_uuid(), 'due' || i % 200, 'C', ($1::bytea[])[i % 200 + 1], ($2::bytea[])[i % 200 + 1], '2026-03',
		CASE WHEN i < 2000 THEN 'PROCESSING' ELSE 'FAILED' END, '', CASE WHEN i < 2000 THEN '' ELSE 'BILL_NOT_FOUND' END,
		timestamptz '2026-03-01' + i * interval '1 s', CASE WHEN i < 2000
		THEN timestamptz '2026-03-01' + i * interval '1 s' END,
		CASE WHEN i < 2000 THEN 'NONE' WHEN i < 4000 THEN 'PENDING' ELSE 'PARKED' END,
		CASE WHEN i BETWEEN 2000 AND 3999 THEN timestamptz '2026-03-01' + i * interval '1 s' END
	FROM generate_series(0, 4199) AS i`

// dueLines are n lines as they are sealed in the column of release b0e8e26, and their indexes.
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

// queuesAmongAMillionRows checks that the queries of workers and staff use an index, at the cost of the rows to do.
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
		"parked results": {listing(delivery.Filter{State: delivery.Parked, Page: 1, Size: 20}), 20,
			[]string{"inquiries_parked"}, 1000},
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

// analyzedAgain runs the statements on the table once more, in a transaction that is rolled back, and returns their
// plans.
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
