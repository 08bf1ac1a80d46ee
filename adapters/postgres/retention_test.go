package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/migrations"
	"phonebill/ports"
)

var today = time.Now()

// idOf is the nth UUIDv7 of so many years ago.
func idOf(years float64, n int) string {
	ms := today.Add(-time.Duration(years * 365.25 * 24 * float64(time.Hour))).UnixMilli()
	hex := fmt.Sprintf("%012x7%03x8%015x", ms, n%4096, n)
	return hex[:8] + "-" + hex[8:12] + "-" + hex[12:16] + "-" + hex[16:20] + "-" + hex[20:]
}

func drain(t *testing.T, purge ports.Purge, years, batch int) (dropped int) {
	t.Helper()
	for {
		n, more, err := purge(t.Context(), years, batch)
		require.NoError(t, err)
		require.LessOrEqual(t, n, batch)
		if dropped += n; !more {
			return dropped
		}
	}
}

func exec(t *testing.T, pool *pgxpool.Pool, statement string, args ...any) {
	t.Helper()
	_, err := pool.Exec(context.WithoutCancel(t.Context()), statement, args...)
	require.NoError(t, err, statement)
}

func TestInquiriesAreKeptTwoYears(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	add := func(years float64, n int, status, delivery string) {
		exec(t, db.Admin,
			`INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source, requested_at,
				delivery_state) VALUES ($1, 'u', 'c', '', '', '2020-01', $2, '', now(), $3)`, idOf(years, n), status, delivery)
		exec(t, db.Admin, `INSERT INTO delivery_attempts (event_id, fence, at, state, note)
			VALUES ($1, 1, now(), 'DELIVERED', '')`, idOf(years, n))
	}
	for n := range 25 {
		add(2.1, n, "COMPLETED", "DELIVERED")
	}
	add(2.1, 100, "PROCESSING", "NONE")
	add(2.1, 101, "COMPLETED", "PENDING")
	add(2.1, 102, "FAILED", "PARKED")
	add(1.9, 103, "COMPLETED", "DELIVERED")
	require.Equal(t, 26, drain(t, postgres.PurgeInquiries(db.Pool), 1, 10), "no period shorter than the one prescribed")
	require.Equal(t, 3, count(t, db.Admin, "inquiries"), "what is young, or still going on, stays")
	require.Equal(t, 3, count(t, db.Admin, "delivery_attempts"))
	add(2.5, 104, "COMPLETED", "DELIVERED")
	require.Zero(t, drain(t, postgres.PurgeInquiries(db.Pool), 3, 10), "a longer period may be asked for")
}

func TestCopiesOfMonthsAreKeptAWeek(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.KOS)
	v := keyring(t)
	months := postgres.NewBillMonths(db.Pool, v, vault.BillMonths(v))
	for n, days := range []int{1, 6, 8, 9, 30} {
		exec(t, db.Admin, `INSERT INTO month_copies (line_index, stated_at, sealed)
			VALUES ($1, now() - make_interval(days => $2), '')`, []byte{byte(n)}, days)
	}
	for _, want := range []int{2, 1, 0} {
		n, err := months.Purge(t.Context(), time.Hour, 2)
		require.NoError(t, err)
		require.Equal(t, want, n, "nothing younger than a week, whatever is asked for")
	}
	require.Equal(t, 2, count(t, db.Admin, "month_copies"))
	_, err := months.Purge(t.Context(), 30*24*time.Hour, 2)
	require.NoError(t, err)
}

func TestTheNewestBillIsKeptForGood(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	add := func(years float64, n int, line string) {
		exec(t, db.Admin, `INSERT INTO bill_versions (id, line_index, month, told_at, sealed)
			VALUES ($1, $2, '2020-01', now() - make_interval(secs => $3), '')`, idOf(years, n), []byte(line),
			years*365.25*24*3600)
	}
	add(5, 1, "only one")
	add(5, 2, "replaced")
	add(4, 3, "replaced")
	add(3, 4, "replaced")
	add(2.5, 5, "replaced of late")
	add(1.5, 6, "replaced of late")
	require.Equal(t, 2, drain(t, postgres.PurgeBills(db.Pool), 2, 1))
	require.Equal(t, 4, count(t, db.Admin, "bill_versions"))
}

// TestBillsThatAreKeptForGoodAreReadOnce: a batch costs as much as it is long, however many versions are before it.
func TestBillsThatAreKeptForGoodAreReadOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	exec(t, db.Admin, `INSERT INTO bill_versions (id, line_index, month, told_at, sealed)
		SELECT (lpad(to_hex((extract(epoch FROM now() - interval '4 years') * 1000)::bigint + n), 12,
			'0') || '70008000000000000000')::uuid, int8send(least(n, 20001)), '2020-01',
			now() - interval '4 years' + n * interval '1 ms', ''
		FROM generate_series(1, 20030) n`)
	exec(t, db.Admin, "ANALYZE bill_versions")
	purge := postgres.PurgeBills(db.Pool)
	dropped, more, err := purge(t.Context(), 2, 1000)
	require.NoError(t, err)
	require.Zero(t, dropped)
	require.True(t, more, "who finds nothing to drop pauses as well")
	require.Equal(t, 29, drain(t, purge, 2, 1000))
	require.Equal(t, 20001, count(t, db.Admin, "bill_versions"))
	require.Zero(t, drain(t, purge, 2, 1000), "the next pass begins anew")

	var plan []struct {
		Plan struct {
			Hit int `json:"Shared Hit Blocks"`
		}
	}
	last := texts(t, db.Admin, "SELECT id::text FROM bill_versions ORDER BY id OFFSET 19990 LIMIT 1")[0]
	require.NoError(t, db.Admin.QueryRow(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
		SELECT * FROM purge_replaced_bills(2, 10, '`+last+`')`).Scan(&plan))
	require.Less(t, plan[0].Plan.Hit, 2000, "pages looked at for ten versions behind 20,000")
}

func TestChangesAreKeptThreeYears(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Product)
	add := func(years float64, n int, state string) {
		exec(t, db.Admin,
			`INSERT INTO change_orders (id, transaction_id, user_id, customer_id, line_sealed, line_index, from_code,
				from_name, to_code, to_name, effective_date, state, requested_at, next_attempt_at, delivery_state)
			VALUES ($1, $1, 'u', 'c', '', $2, '', '', '', '', now(), $3, now(), now(), 'DELIVERED')`, idOf(years, n),
			[]byte{byte(n)}, state)
		exec(t, db.Admin, `INSERT INTO order_steps (order_id, state, result_code, sends) VALUES ($1, 'REQUESTED', '', 0)`,
			idOf(years, n))
		exec(t, db.Admin, `INSERT INTO delivery_attempts (event_id, fence, at, state, note)
			VALUES ($1, 1, now(), 'DELIVERED', '')`, idOf(years, n))
	}
	for n, state := range []string{"COMPLETED", "FAILED", "CANCELLED", "PARKED", "UNKNOWN"} {
		add(3.1, n, state)
	}
	add(2.9, 9, "COMPLETED")
	require.Equal(t, 3, drain(t, postgres.PurgeChanges(db.Pool), 3, 2))
	for _, table := range []string{"change_orders", "order_steps", "delivery_attempts"} {
		require.Equal(t, 3, count(t, db.Admin, table), table)
	}
}

func TestCallsAndLoginsAreKept(t *testing.T) {
	t.Parallel()
	kos, auth := pgtest.New(t, migrations.KOS), pgtest.New(t, migrations.Auth)
	for n, years := range []float64{0.9, 1.1, 1.9, 2.1} {
		exec(t, kos.Admin, `INSERT INTO kos_calls (id, operation, asked_at, answered_at, result, http_status)
			VALUES ($1, 'bill.inquiry', now(), now(), '0000', 200)`, idOf(years, n))
		exec(t, auth.Admin, `INSERT INTO login_history (id, at, user_id, subject, type, success, reason, ip, user_agent)
			VALUES ($1, now(), 'u', '', 'LOGIN', true, '', '', '')`, idOf(years, n))
	}
	require.Equal(t, 3, drain(t, postgres.PurgeCalls(kos.Pool), 0, 10))
	require.Equal(t, 1, count(t, kos.Admin, "kos_calls"))
	require.Equal(t, 1, drain(t, postgres.PurgeLogins(auth.Pool), 0, 10))
	require.Equal(t, 3, count(t, auth.Admin, "login_history"))
}
