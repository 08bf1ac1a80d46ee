package postgres_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/migrations"
	"phonebill/ports/portstest"
)

// TestServicesCannotRewriteHistory: append-only tables are so by their GRANTs (ADR 26).
func TestServicesCannotRewriteHistory(t *testing.T) {
	t.Parallel()
	const change, remove = "UPDATE", "DELETE"
	for db, tables := range map[migrations.Database]map[string][]string{
		migrations.Auth: {
			"login_history": {change, remove}, "audit_log": {change, remove}, "audit_checkpoints": {change, remove},
			"signing_keys": {remove}, "service_keys": {remove}, "users": {remove},
		},
		migrations.Bill: {
			"bill_versions": {change, remove}, "delivery_attempts": {change, remove}, "inquiries": {remove},
			"delivery_sequences": {remove},
		},
		migrations.Product: {
			"order_steps": {change, remove}, "delivery_attempts": {change, remove}, "change_orders": {remove},
			"delivery_sequences": {remove},
			"order_resolutions":  {change, remove}, "book_differences": {change, remove}, "book_runs": {remove},
		},
		migrations.KOS: {
			"kos_calls": {change, remove}, "quota_ledger": {change}, "customer_copies": {remove}, "plan_copies": {remove},
			"month_copies": {remove},
			"line_epochs":  {remove},
		},
	} {
		database := pgtest.New(t, db)
		for table, forbidden := range tables {
			var column string
			require.NoError(t, database.Admin.QueryRow(t.Context(), `SELECT column_name FROM information_schema.columns
				WHERE table_name = $1 AND identity_generation IS NULL LIMIT 1`, table).Scan(&column))
			for _, what := range append(forbidden, "TRUNCATE") {
				statement := map[string]string{
					change:     "UPDATE " + table + " SET " + column + " = " + column + " WHERE false",
					remove:     "DELETE FROM " + table + " WHERE false",
					"TRUNCATE": "TRUNCATE " + table,
				}[what]
				_, err := database.Pool.Exec(t.Context(), statement)
				require.Error(t, err, statement)
				requireDenied(t, err)
			}
		}
	}
}

// TestNothingPersonalIsReadable writes through every store and searches all columns of all tables for the clear values,
// as text and as bytes.
func TestNothingPersonalIsReadable(t *testing.T) {
	t.Parallel()
	keys, now, owner := keyring(t), time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC), portstest.Owner()
	personalData := []string{
		owner.Lines[0].Digits(), owner.Lines[0].Hyphenated(), owner.Lines[1].Digits(), owner.Name.Reveal(),
		owner.Email.Reveal(), "typed-a-password", "자동이체", "선택약정할인",
	}
	authDB, billDB := pgtest.New(t, migrations.Auth), pgtest.New(t, migrations.Bill)
	productDB, kosDB := pgtest.New(t, migrations.Product), pgtest.New(t, migrations.KOS)

	require.NoError(t, postgres.NewUsers(authDB.Pool, keys).Create(t.Context(), owner))
	_, err := postgres.NewGuesses(authDB.Pool, keys, auth.DefaultLockout()).Take(t.Context(),
		auth.Subject{UserID: "typed-a-password"}, now)
	require.NoError(t, err)
	history := postgres.NewLoginHistory(authDB.Pool, keys)
	require.NoError(t,
		history.Append(t.Context(), auth.LoginEvent{ID: id.ID{1}, UserID: owner.UserID, Known: true, At: now}))
	require.NoError(t, history.Append(t.Context(), auth.LoginEvent{ID: id.ID{2}, UserID: "typed-a-password", At: now}))

	c := portstest.BillCopies()[0]
	require.NoError(t, postgres.NewBills(billDB.Pool, keys, vault.Bills(keys), nil).Put(t.Context(), c))
	q := bill.Inquiry{ID: id.ID{1}, UserID: owner.UserID, Line: owner.Lines[0], Month: portstest.Month(), RequestedAt: now}
	require.NoError(t, postgres.NewInquiries(billDB.Pool, keys).Add(t.Context(), q.Complete(c, freshness.FromKOS, now)))
	items, err := postgres.NewBillOutbox(billDB.Pool, keys, vault.Bills(keys)).Claim(t.Context(), now, time.Minute, 1, 1)
	require.NoError(t, err)
	require.Len(t, items, 1)
	require.Equal(t, &c.Bill, items[0][0].Body.Bill)

	require.NoError(t, postgres.NewOrders(productDB.Pool, keys).Add(t.Context(), product.Order{
		ID: id.ID{1}, UserID: owner.UserID, Line: owner.Lines[0], EffectiveDate: portstest.Month().First(),
		State: product.Requested, RequestedAt: now, NextAttemptAt: now,
	}, keyedBy(owner, now)))
	_, err = postgres.NewIdempotencyKeys(billDB.Pool, migrations.Bill, keys).Claim(t.Context(), keyedBy(owner, now), now,
		id.ID{})
	require.NoError(t, err)
	personalData = append(personalData, digestsOf(owner, now)...)

	require.NoError(t,
		postgres.NewCustomers(kosDB.Pool, keys, vault.Customers(keys)).Put(t.Context(), portstest.CustomerCopies()[0]))
	require.NoError(t,
		postgres.NewBillMonths(kosDB.Pool, keys, vault.BillMonths(keys)).Put(t.Context(), portstest.MonthsCopies()[0]))
	require.NoError(t, postgres.NewEpochs(kosDB.Pool, keys).Raise(t.Context(), owner.Lines[0], now))
	require.NoError(t, postgres.NewCallLog(kosDB.Pool, keys).Append(t.Context(), audit.Call{
		ID: id.ID{1}, Line: owner.Lines[0], AskedAt: now, AnsweredAt: now,
		Request: []byte(owner.Lines[0].Digits()), Answer: []byte(owner.Name.Reveal()),
	}))

	for _, db := range []*pgtest.DB{authDB, billDB, productDB, kosDB} {
		for _, clear := range personalData {
			require.Empty(t, tablesWith(t, db.Admin, clear), "%s in %s", clear, db.Name)
		}
	}
	require.Contains(t, tablesWith(t, authDB.Admin, string(owner.UserID)), "users", "the search finds text")
	_, err = kosDB.Admin.Exec(t.Context(), "UPDATE customer_copies SET sealed = $1", []byte("a "+owner.Name.Reveal()+" b"))
	require.NoError(t, err)
	require.Contains(t, tablesWith(t, kosDB.Admin, owner.Name.Reveal()), "customer_copies", "the search finds bytes")

	var known int
	require.NoError(t, authDB.Admin.QueryRow(t.Context(), "SELECT count(user_id) FROM login_history").Scan(&known))
	require.Equal(t, 1, known, "an unknown id is a keyed hash only")
}

// keyedBy is a request whose idempotency key is the line's number itself.
func keyedBy(owner auth.User, now time.Time) request.KeyUse {
	key, _ := request.ParseKey(owner.Lines[0].Digits())
	return request.KeyUse{
		User: owner.UserID, Key: key, Payload: request.PayloadOf(owner.Lines[0].Digits(), portstest.Month().String()),
		Request: id.ID{1}, At: now,
	}
}

// digestsOf returns the digests that anyone can make of all line numbers (at most 10^8), as bytes print: they would be
// as good as the numbers.
func digestsOf(owner auth.User, now time.Time) (all []string) {
	use := keyedBy(owner, now)
	all = append(all, hex.EncodeToString(use.Key[:]), hex.EncodeToString(use.Payload[:]))
	for _, n := range owner.Lines {
		for _, clear := range []string{n.Digits(), n.Hyphenated()} {
			sum := sha256.Sum256([]byte(clear))
			all = append(all, hex.EncodeToString(sum[:]))
		}
	}
	return all
}

// tablesWith names the tables that hold the text in some column: as text, or as bytes (which print in hexadecimal).
func tablesWith(t *testing.T, pool *pgxpool.Pool, clear string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(),
		"SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 3)
	var found []string
	for _, table := range tables {
		var hits int
		name := pgx.Identifier{table}.Sanitize()
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM `+name+` t WHERE position($1 IN t::text) > 0
			OR position(encode(convert_to($1, 'UTF8'), 'hex') IN t::text) > 0`, clear).Scan(&hits))
		if hits > 0 {
			found = append(found, table)
		}
	}
	return found
}

// TestHistoriesAreKept: each state of an order and each attempt of a delivery is a row.
func TestHistoriesAreKept(t *testing.T) {
	t.Parallel()
	db, keys, now := pgtest.New(t, migrations.Product), keyring(t), time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC)
	orders, outbox := postgres.NewOrders(db.Pool, keys), postgres.NewChangeOutbox(db.Pool, keys)
	o := product.Order{
		ID: id.ID{1}, UserID: "hong1234", Line: portstest.Line(1), EffectiveDate: portstest.Month().First(),
		State: product.Requested, RequestedAt: now, NextAttemptAt: now,
	}
	require.NoError(t, orders.Add(t.Context(), o, request.KeyUse{}))
	require.Error(t, orders.Add(t.Context(), o, request.KeyUse{}), "refused: no step")
	o.State, o.Sends = product.Dispatched, 1
	o, err := orders.Save(t.Context(), o, noon)
	require.NoError(t, err)
	stale := o
	stale.Fence = -1
	_, err = orders.Save(t.Context(), stale, noon)
	require.Error(t, err, "refused: no step")
	o.State, o.ResultCode, o.ProcessedAt = product.Completed, "0000", now
	_, err = orders.Save(t.Context(), o, noon)
	require.NoError(t, err)
	require.Equal(t, []string{"REQUESTED 0 ", "DISPATCHED 1 ", "COMPLETED 1 0000"},
		texts(t, db.Admin, "SELECT state || ' ' || sends || ' ' || result_code FROM order_steps ORDER BY step"))

	for _, attempt := range []delivery.Attempt{{Outcome: delivery.Failed, Note: "503"},
		{Outcome: delivery.Accepted, Note: "202"}} {
		items, err := outbox.Claim(t.Context(), now, time.Minute, 1, 1)
		require.NoError(t, err)
		require.Len(t, items, 1)
		state, _ := delivery.NextState(now, items[0][0].Attempts, attempt, now, 0)
		done := delivery.AttemptResult{ID: o.ID, Fence: items[0][0].Fence, Attempt: attempt, State: state, Next: now}
		require.NoError(t, outbox.Settle(t.Context(), now, done))
		if state == delivery.Delivered {
			break
		}
	}
	require.Equal(t, []string{"1 PENDING 503", "2 DELIVERED 202"},
		texts(t, db.Admin, "SELECT fence || ' ' || state || ' ' || note FROM delivery_attempts ORDER BY fence"))
	require.Equal(t, []string{"DELIVERED 2 true"},
		texts(t, db.Admin,
			"SELECT delivery_state || ' ' || delivery_attempts || ' ' || (delivered_at IS NOT NULL) FROM change_orders"))
}

func texts(t *testing.T, pool *pgxpool.Pool, query string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), query)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return all
}

// TestServicesCannotChangeFixedColumns: user, subject and time of a request, which retention depends on.
func TestServicesCannotChangeFixedColumns(t *testing.T) {
	t.Parallel()
	for db, tables := range map[migrations.Database]map[string][]string{
		migrations.Bill: {
			"inquiries": {"id", "user_id", "customer_id", "line_sealed", "line_index", "month", "requested_at", "trace_id"},
		},
		migrations.Product: {
			"change_orders": {
				"id", "user_id", "customer_id", "line_sealed", "line_index", "from_code", "to_code", "effective_rule",
				"requested_at", "trace_id",
			},
			"book_runs": {"id", "nightly", "from_at", "to_at", "started_at"},
		},
	} {
		database := pgtest.New(t, db)
		for table, fixed := range tables {
			allowed := texts(t, database.Admin, `SELECT column_name::text FROM information_schema.columns
				WHERE table_name = '`+table+`' AND NOT column_name::text = ANY (SELECT unnest(string_to_array('`+
				strings.Join(fixed, " ")+`', ' ')))`)
			require.NotEmpty(t, allowed)
			for _, column := range allowed {
				_, err := database.Pool.Exec(t.Context(), "UPDATE "+table+" SET "+column+" = "+column+" WHERE false")
				require.NoError(t, err, "%s.%s is progress", table, column)
			}
			for _, column := range fixed {
				_, err := database.Pool.Exec(t.Context(), "UPDATE "+table+" SET "+column+" = "+column+" WHERE false")
				requireDenied(t, err)
			}
		}
	}
}

func TestYoungHistoryCannotBeMadeOld(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	exec(t, db.Pool,
		`INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source, requested_at,
		delivery_state) VALUES ($1, 'u', 'c', '', '', '2020-01', 'COMPLETED', '', now(), 'DELIVERED')`, idOf(0, 1))
	_, err := db.Pool.Exec(t.Context(), "UPDATE inquiries SET id = $1 WHERE id = $2", idOf(3, 1), idOf(0, 1))
	requireDenied(t, err)
	require.Zero(t, drain(t, postgres.PurgeInquiries(db.Pool), 2, 10))
	require.Equal(t, 1, count(t, db.Admin, "inquiries"))
}
