package postgres_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/migrations"
	"phonebill/ports/portstest"
)

// tableRows returns how many rows a test of query plans puts into a table: as few as given, or a million in `make
// drills`.
func tableRows(few int) int {
	if os.Getenv("DRILL_FULL") == "" {
		return few
	}
	return 1_000_000
}

// statements records what a store sends.
type statements struct {
	mu  sync.Mutex
	all []pgx.TraceQueryStartData
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, data)
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Rows as after a busy year: nearly all final and delivered, a few due. i runs over 20,000 rows.
const (
	inquiries = `INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source,
			requested_at, next_attempt_at, delivery_state, delivery_next_at)
		SELECT gen_random_uuid(), 'user' || i % 500, 'C', ''::bytea, decode(md5((i % 1000)::text), 'hex'), '2026-03',
			CASE WHEN i % 400 = 0 THEN 'PROCESSING' ELSE 'COMPLETED' END, '', timestamptz '2026-01-01' + i * interval '1 min',
			CASE WHEN i % 400 = 0 THEN timestamptz '2026-01-01' + i * interval '1 min' END,
			CASE WHEN i % 400 = 0 THEN 'NONE' WHEN i % 100 = 1 THEN 'PENDING' ELSE 'DELIVERED' END,
			CASE WHEN i % 100 = 1 THEN timestamptz '2026-01-01' + i * interval '1 min' END
		FROM generate_series(1, 20000) AS i`
	orders = `INSERT INTO change_orders (id, transaction_id, user_id, customer_id, line_sealed, line_index, from_code,
			from_name, to_code, to_name, effective_date, state, requested_at, next_attempt_at, delivery_state, delivery_next_at)
		SELECT gen_random_uuid(), gen_random_uuid(), 'user' || i % 500, 'C', ''::bytea, decode(md5(i::text), 'hex'), '', '',
			'', '', '2026-04-01', CASE WHEN i % 400 = 0 THEN 'UNKNOWN' ELSE 'COMPLETED' END,
			timestamptz '2026-01-01' + i * interval '1 min', timestamptz '2026-01-01' + i * interval '1 min',
			CASE WHEN i % 400 = 0 THEN 'NONE' WHEN i % 100 = 1 THEN 'PENDING' ELSE 'DELIVERED' END,
			CASE WHEN i % 100 = 1 THEN timestamptz '2026-01-01' + i * interval '1 min' END
		FROM generate_series(1, 20000) AS i`
	versions = `INSERT INTO bill_versions (id, line_index, month, told_at, sealed)
		SELECT gen_random_uuid(), decode(md5((i % 1000)::text), 'hex'), '2026-03',
			timestamptz '2026-01-01' + i * interval '1 min', ''::bytea
		FROM generate_series(1, 20000) AS i`
	spent  = `INSERT INTO quota_ledger (spent_at) SELECT now() - i * interval '1 s' FROM generate_series(1, 20000) AS i`
	raised = `INSERT INTO line_epochs (line_index, at, raised_at) SELECT decode(md5(i::text), 'hex'), now(),
		now() - i * interval '1 min'
		FROM generate_series(1, 20000) AS i`
	ended = `INSERT INTO users (user_id, password_hash, name_sealed, phone_sealed, phone_index, email_sealed, email_index,
			customer_id, status, epoch, epoch_at)
		SELECT 'user' || i, '', '', '', '', '', '', '', 'ACTIVE', 1, timestamptz '2026-01-01' + i * interval '1 min'
		FROM generate_series(1, 20000) AS i; ANALYZE users;
		INSERT INTO sessions (id, user_id, auto_login, created_at, last_seen_at, expires_at, generation, rotated_at,
			revoked_at, ip, user_agent)
		SELECT gen_random_uuid(), 'user1', false, now(), now(), now(), 1, now(),
		timestamptz '2026-01-01' + i * interval '1 min', '', ''
		FROM generate_series(1, 20000) AS i`
)

// TestQueriesUseTheirIndexes reads PostgreSQL's plans of the stores' statements, on enough rows that a scan would cost
// more.
func TestQueriesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	keys, now := keyring(t), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	parked := delivery.Filter{State: delivery.Parked, Page: 1, Size: 20}
	lines, day := []line.Number{portstest.Line(1), portstest.Line(2)}, calendar.DateOf(now)
	for name, c := range map[string]struct {
		db      migrations.Database
		fill    string
		table   string
		call    func(pool *pgxpool.Pool) error
		indexes []string
	}{
		"history of inquiries": {migrations.Bill, inquiries, "inquiries", func(pool *pgxpool.Pool) error {
			f := bill.HistoryFilter{UserID: "user7", Lines: lines, From: day.AddDays(-30), To: day, Page: 2, Size: 20}
			_, _, err := postgres.NewInquiries(pool, keys).History(t.Context(), f)
			return err
		}, []string{"inquiries_history"}},
		"claim of inquiries": {migrations.Bill, inquiries, "inquiries", func(pool *pgxpool.Pool) error {
			_, err := postgres.NewInquiries(pool, keys).Claim(t.Context(), time.Time{}, time.Minute, 10)
			return err
		}, []string{"inquiries_due", "inquiries_pkey"}},
		"claim of bill results": {migrations.Bill, inquiries, "inquiries", func(pool *pgxpool.Pool) error {
			_, err := postgres.NewBillOutbox(pool, keys, vault.Bills(keys)).Claim(t.Context(), now, time.Minute, 10, 10)
			return err
		}, []string{"inquiries_line_order", "inquiries_pkey"}},
		"list of parked bill results": {migrations.Bill, inquiries, "inquiries", func(pool *pgxpool.Pool) error {
			_, _, err := postgres.NewBillOutbox(pool, keys, vault.Bills(keys)).List(t.Context(), parked)
			return err
		}, []string{"inquiries_parked"}},
		"list of bill results": {migrations.Bill, inquiries, "inquiries", func(pool *pgxpool.Pool) error {
			_, _, err := postgres.NewBillOutbox(pool, keys, vault.Bills(keys)).List(t.Context(),
				delivery.Filter{Page: 1, Size: 20})
			return err
		}, []string{"inquiries_pkey"}},
		"latest bill": {migrations.Bill, versions, "bill_versions", func(pool *pgxpool.Pool) error {
			_, err := postgres.NewBills(pool, keys, vault.Bills(keys), nil).Latest(t.Context(), lines[0], portstest.Month())
			require.Error(t, err)
			return nil
		}, []string{"bill_versions_latest"}},
		"history of orders": {migrations.Product, orders, "change_orders", func(pool *pgxpool.Pool) error {
			f := product.HistoryFilter{UserID: "user7", Lines: lines, Page: 1, Size: 20}
			_, _, err := postgres.NewOrders(pool, keys).History(t.Context(), f)
			return err
		}, []string{"change_orders_history"}},
		"claim of orders": {migrations.Product, orders, "change_orders", func(pool *pgxpool.Pool) error {
			_, err := postgres.NewOrders(pool, keys).Claim(t.Context(), product.New, time.Time{}, time.Minute, 10)
			return err
		}, []string{"change_orders_due", "change_orders_pkey"}},
		"live order": {migrations.Product, orders, "change_orders", func(pool *pgxpool.Pool) error {
			_, err := postgres.NewOrders(pool, keys).Live(t.Context(), lines[0])
			require.Error(t, err)
			return nil
		}, []string{"change_orders_live"}},
		"claim of change results": {migrations.Product, orders, "change_orders", func(pool *pgxpool.Pool) error {
			_, err := postgres.NewChangeOutbox(pool, keys).Claim(t.Context(), now, time.Minute, 10, 10)
			return err
		}, []string{"change_orders_line_order", "change_orders_pkey"}},
		"list of parked change results": {migrations.Product, orders, "change_orders", func(pool *pgxpool.Pool) error {
			_, _, err := postgres.NewChangeOutbox(pool, keys).List(t.Context(), parked)
			return err
		}, []string{"change_orders_parked"}},
		"quota": {migrations.KOS, spent, "quota_ledger", func(pool *pgxpool.Pool) error {
			window := quota.Window{Budget: 1000, Per: time.Minute}
			return postgres.NewQuota(pool, window, postgres.Floor{}, &memory.Alerts{}, time.Now).Take(t.Context(), quota.Read)
		}, []string{"quota_ledger_spent"}},
		"raised epochs": {migrations.KOS, raised, "line_epochs", func(pool *pgxpool.Pool) error {
			_, _, err := postgres.NewEpochs(pool, keys).Raised(t.Context(), time.Now().Add(-time.Minute))
			return err
		}, []string{"line_epochs_raised"}},
		"revocations": {migrations.Auth, ended, "sessions", func(pool *pgxpool.Pool) error {
			_, err := postgres.NewRevocations(pool, 0, auth.DefaultKeys()).Since(t.Context(),
				time.Date(2026, 1, 14, 21, 0, 0, 0, time.UTC))
			return err
		}, []string{"sessions_noted", "users_epoch"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, seen := pgtest.New(t, c.db), &statements{}
			for _, statement := range append(strings.Split(c.fill, ";"), "ANALYZE "+c.table) {
				_, err := db.Admin.Exec(t.Context(), statement)
				require.NoError(t, err)
			}
			config, err := pgxpool.ParseConfig(db.URL)
			require.NoError(t, err)
			config.ConnConfig.Tracer = seen
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			defer pool.Close()
			require.NoError(t, c.call(pool))
			plan := explain(t, db.Admin, seen, c.table)
			require.NotContains(t, plan, "Seq Scan on "+c.table)
			for _, index := range c.indexes {
				require.Contains(t, plan, index)
			}
		})
	}
}

// readsOf reports whether a statement reads the table, by its name or through the view of requests over it.
func readsOf(table, sql string) bool {
	return strings.Contains(sql, table) || strings.Contains(sql, " requests")
}

// explain returns the plans of all statements on the table.
func explain(t *testing.T, pool *pgxpool.Pool, seen *statements, table string) string {
	t.Helper()
	var plans strings.Builder
	for _, s := range seen.all {
		if !readsOf(table, s.SQL) || strings.Contains(s.SQL, "pg_advisory") || s.SQL == "begin" || s.SQL == "commit" {
			continue
		}
		rows, err := pool.Query(t.Context(), "EXPLAIN "+s.SQL, s.Args...)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		plans.WriteString(strings.Join(lines, "\n") + "\n\n")
	}
	require.NotEmpty(t, plans.String())
	return plans.String()
}

// loginRows are a million accounts, counters and sessions; growing keys without foreign key and trigger make that
// quick.
const loginRows = `ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey;
		ALTER TABLE users DISABLE TRIGGER one_user_id_of_any_case;
		INSERT INTO users (user_id, password_hash, name_sealed, phone_sealed, phone_index, email_sealed, email_index,
			customer_id, status)
		SELECT 'user' || lpad(i::text, 8, '0'), '', '', '', '', '', '', '', 'ACTIVE' FROM generate_series(1, $rows) AS i;
		INSERT INTO login_attempts (subject, user_index, failures, updated_at)
		SELECT decode(lpad(to_hex(i), 32, '0'), 'hex'), decode(lpad(to_hex(i / 3), 32, '0'), 'hex'), i % 5,
			timestamptz '2026-01-01' + i * interval '1 s'
		FROM generate_series(1, $rows) AS i;
		INSERT INTO sessions (id, user_id, auto_login, created_at, last_seen_at, expires_at, generation, rotated_at,
			revoked_at, ip, user_agent)
		SELECT lpad(to_hex(i), 32, '0')::uuid, 'user' || lpad(i::text, 8, '0'), false, now(), now(), now() + interval '1 day',
		1, now(),
			CASE WHEN i % 10 > 0 THEN now() END, '', ''
		FROM generate_series(1, $rows) AS i`

func TestLoginUsesIndexes(t *testing.T) {
	t.Parallel()
	db, seen, keys := pgtest.New(t, migrations.Auth), &statements{}, keyring(t)
	fill := strings.ReplaceAll(loginRows, "$rows", strconv.Itoa(tableRows(20_000))) +
		"; ANALYZE users, login_attempts, sessions"
	for _, statement := range strings.Split(fill, ";") {
		_, err := db.Admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	config, err := pgxpool.ParseConfig(db.URL)
	require.NoError(t, err)
	config.ConnConfig.Tracer = seen
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()

	now := time.Now().UTC().Truncate(time.Microsecond)
	users, sessions := postgres.NewUsers(pool, keys), postgres.NewSessions(pool)
	guesses := postgres.NewGuesses(pool, keys, auth.DefaultLockout())
	one, device := auth.Subject{UserID: "user00000007"}, auth.Subject{UserID: "user00000007", Device: id.ID{1}}
	_, err = users.ByLogin(t.Context(), "Nobody")
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
	_, err = users.ByID(t.Context(), "nobody")
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
	for _, s := range []auth.Subject{one, device} {
		g, err := guesses.Take(t.Context(), s, now)
		require.NoError(t, err)
		_, err = guesses.Fail(t.Context(), s, g, now)
		require.NoError(t, err)
		require.NoError(t, guesses.Succeed(t.Context(), s, g, now))
		require.NoError(t, guesses.GiveBack(t.Context(), s, g))
		_, err = guesses.Peek(t.Context(), s)
		require.NoError(t, err)
	}
	require.NoError(t, guesses.Clear(t.Context(), "user00000007"))
	_, err = guesses.Sweep(t.Context(), now.Add(-24*time.Hour), now, 10)
	require.NoError(t, err)
	policy := auth.DefaultSessions()
	_, err = sessions.Create(t.Context(), policy.NewSession(id.ID{0xff}, "user00000007", false, auth.Client{}, now),
		policy)
	require.NoError(t, err)
	_, err = sessions.Sweep(t.Context(), now, 10)
	require.NoError(t, err)
	require.NoError(t, users.RecordLogin(t.Context(), "user00000007", now))
	require.NoError(t, users.Rehash(t.Context(), "user00000007", personal.NewSecret("?"), portstest.Owner().PasswordHash))

	for table, indexes := range map[string][]string{
		"users":          {"users_pkey", "users_folded"},
		"login_attempts": {"login_attempts_pkey", "login_attempts_user", "login_attempts_updated"},
		"sessions":       {"sessions_live", "sessions_expires"},
	} {
		plans := explain(t, db.Admin, seen, table)
		require.NotContains(t, plans, "Seq Scan on "+table, plans)
		for _, index := range indexes {
			require.Contains(t, plans, index)
		}
	}
}
