package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/audit"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/sealing"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func registry(t *testing.T) portstest.Registry {
	t.Helper()
	pool, keys := pgtest.New(t, migrations.Auth).Pool, keyring(t)
	accounts, history := postgres.NewAccounts(pool, keys), postgres.NewLoginHistory(pool, keys)
	return portstest.Registry{
		Users: postgres.NewUsers(pool, keys), Accounts: accounts, Import: accounts, History: history, Records: history,
		Guesses: postgres.NewGuesses(pool, keys, auth.DefaultLockout()), Transfers: postgres.NewLineTransfers(pool, keys),
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	portstest.Accounts(t, registry)
}

func TestLineTransfers(t *testing.T) {
	t.Parallel()
	portstest.LineTransfers(t, registry)
}

func TestExactSearches(t *testing.T) {
	t.Parallel()
	portstest.ExactSearches(t, func(t *testing.T) ports.ExactSearches {
		t.Helper()
		return postgres.NewExactSearches(pgtest.New(t, migrations.Auth).Pool)
	})
}

func TestAccountImport(t *testing.T) {
	t.Parallel()
	portstest.AccountImport(t, registry)
}

func TestLoginRecords(t *testing.T) {
	t.Parallel()
	portstest.LoginRecords(t, registry)
}

func TestAudit(t *testing.T) {
	t.Parallel()
	portstest.Audit(t, func(t *testing.T) portstest.AuditFixture {
		t.Helper()
		pool, keys := pgtest.New(t, migrations.Auth).Pool, keyring(t)
		return portstest.AuditFixture{Trail: postgres.NewAuditTrail(pool), Keys: postgres.AuditKeys(keys),
			Log: func(writer id.ID) ports.AuditLog {
				return postgres.NewAuditLog(pool, keys, writer, slog.New(slog.DiscardHandler))
			}}
	})
}

// TestAnyChangedByteOfTheAuditLogIsFound changes each column of each row in the table, as the owner's role could (bar
// R11).
func TestAnyChangedByteOfTheAuditLogIsFound(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Auth)
	trail, keys := postgres.NewAuditTrail(db.Pool), keyring(t)
	for w := byte(1); w <= 2; w++ {
		log := postgres.NewAuditLog(db.Pool, keys, id.ID{w}, slog.New(slog.DiscardHandler))
		for n := range 3 {
			require.NoError(t, log.Append(t.Context(), audit.Entry{
				At: time.Unix(int64(n), 0), Actor: "admin", Action: "A", Subject: "s", Reason: "because", Outcome: audit.Done,
				Detail: "{}", IP: "::1",
			}))
		}
	}
	verify := func() error {
		v := audit.NewVerifier(nil, postgres.AuditKeys(keys))
		if err := trail.Rows(t.Context(), v.Row); err != nil {
			return err
		}
		return v.End()
	}
	require.NoError(t, verify())
	for column, change := range map[string]string{
		"at": "at + interval '1 microsecond'", "actor": "'x' || actor", "action": "lower(action)",
		"subject": "subject || ' '", "reason": "replace(reason, 'c', 'k')", "outcome": "'INTENDED'", "detail": "'{ }'",
		"ip": "''", "previous_hash": "set_byte(previous_hash, 31, get_byte(previous_hash, 31) # 1)",
		"hash": "set_byte(hash, 0, get_byte(hash, 0) # 128)", "seq": "seq + 100", "keyed": "NOT keyed",
	} {
		for w := byte(1); w <= 2; w++ {
			for seq := 1; seq <= 3; seq++ {
				name := fmt.Sprintf("%s of %d/%d", column, w, seq)
				tx, err := db.Admin.Begin(t.Context())
				require.NoError(t, err)
				tag, err := tx.Exec(t.Context(), "UPDATE audit_log SET "+column+" = "+change+" WHERE writer = $1 AND seq = $2",
					id.ID{w}.String(), seq)
				require.NoError(t, err, name)
				require.EqualValues(t, 1, tag.RowsAffected())
				rows := snapshot(t, tx)
				require.NoError(t, tx.Rollback(t.Context()))
				_, err = audit.Verify(rows, postgres.AuditKeys(keys))
				var broken audit.BrokenError
				require.ErrorAs(t, err, &broken, name)
				require.Equal(t, id.ID{w}, broken.Writer, name)
				require.Equal(t, seq, broken.Seq, name)
			}
		}
	}
	require.NoError(t, verify())
}

// TestTheAuditLogContinuesAfterErrors: the chain is whole whether or not a row of unknown result was stored.
func TestTheAuditLogContinuesAfterErrors(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Auth), keyring(t)
	log := postgres.NewAuditLog(db.Pool, keys, id.ID{1}, slog.New(slog.DiscardHandler))
	entry := audit.Entry{At: time.Unix(1, 0), Actor: "admin", Outcome: audit.Done}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, log.Append(over, entry), "not stored")
	require.NoError(t, log.Append(t.Context(), entry))
	require.Error(t, log.Append(over, entry), "not stored")
	_, err := db.Admin.Exec(t.Context(), "REVOKE INSERT ON audit_log FROM "+postgres.AppRole(migrations.Auth))
	require.NoError(t, err)
	require.Error(t, log.Append(t.Context(), entry))
	_, err = db.Admin.Exec(t.Context(), "GRANT INSERT ON audit_log TO "+postgres.AppRole(migrations.Auth))
	require.NoError(t, err)
	// A row of the same writer that the log does not know to be stored.
	require.NoError(t, log.Append(t.Context(), entry))
	chain := audit.Chain{}.WithKey(postgres.AuditKeys(keys)(id.ID{1}))
	v := audit.NewVerifier(nil, postgres.AuditKeys(keys))
	trail := postgres.NewAuditTrail(db.Pool)
	require.NoError(t, trail.Rows(t.Context(), func(r audit.Row) error { _ = chain.Follow(r); return v.Row(r) }))
	late := chain.Next(id.ID{1}, entry)
	_, err = db.Admin.Exec(t.Context(),
		`INSERT INTO audit_log (writer, seq, at, actor, action, subject, reason, outcome, detail, ip,
		previous_hash, hash, keyed) VALUES ($1, $2, $3, $4, '', '', '', $5, '', '', $6, $7, true)`,
		late.Writer.String(), late.Seq, late.At, late.Actor, string(late.Outcome), late.Previous, late.Hash)
	require.NoError(t, err)
	require.NoError(t, log.Append(t.Context(), entry))
	v = audit.NewVerifier(nil, postgres.AuditKeys(keys))
	require.NoError(t, trail.Rows(t.Context(), v.Row))
	require.Equal(t, []int{4, 1}, []int{v.Count().Rows, v.Count().Writers})
}

// TestAuditRowsAreKeyedOncePreviousReleaseIsGone: the chain continues with keyed rows, and those without a key are
// closed when every instance has had the time to see the new form.
func TestAuditRowsAreKeyedOncePreviousReleaseIsGone(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Auth), keyring(t)
	keys.Obey(sealing.Column)
	exec(t, db.Admin, "UPDATE sealing SET form = 1, changed_at = now() - interval '1 day'")
	log := postgres.NewAuditLog(db.Pool, keys, id.ID{1}, slog.New(slog.DiscardHandler))
	entry := audit.Entry{At: time.Unix(1, 0), Actor: "admin", Outcome: audit.Done}
	require.NoError(t, log.Append(t.Context(), entry))
	due := func(settled time.Duration) bool {
		closing, err := postgres.AuditClosing(db.Pool, settled)(t.Context())
		require.NoError(t, err)
		return closing
	}
	require.False(t, due(time.Second))
	require.NoError(t, postgres.NewSealingForm(migrations.Auth, db.Pool).Raise(t.Context(), sealing.Row))
	require.False(t, due(time.Hour))
	require.True(t, due(0))
	keys.Obey(sealing.Row)
	require.NoError(t, log.Append(t.Context(), entry))
	v := audit.NewVerifier(nil, postgres.AuditKeys(keys))
	require.NoError(t, postgres.NewAuditTrail(db.Pool).Rows(t.Context(), v.Row))
	require.Equal(t, []int{2, 1, 2}, []int{v.Count().Rows, v.Count().Unkeyed, v.Count().FirstKeyed.Seq})
}

// TestAForgedAuditRowIsFound: without the keyring its hash cannot be made.
func TestAForgedAuditRowIsFound(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Auth), keyring(t)
	log := postgres.NewAuditLog(db.Pool, keys, id.ID{1}, slog.New(slog.DiscardHandler))
	require.NoError(t, log.Append(t.Context(), audit.Entry{At: time.Unix(1, 0), Actor: "admin", Outcome: audit.Done}))
	rows := snapshotOf(t, db)
	end := audit.ChainAt(audit.Head{Writer: id.ID{1}, Seq: 1, Hash: rows[0].Hash})
	forged := end.Next(id.ID{1}, audit.Entry{At: time.Unix(2, 0), Actor: "nobody"})
	exec(t, db.Admin,
		`INSERT INTO audit_log (writer, seq, at, actor, action, subject, reason, outcome, detail, ip, previous_hash, hash)
		VALUES ($1, $2, $3, $4, '', '', '', '', '', '', $5, $6)`,
		forged.Writer.String(), forged.Seq, forged.At, forged.Actor, forged.Previous, forged.Hash)
	_, err := audit.Verify(snapshotOf(t, db), postgres.AuditKeys(keys))
	broken := audit.BrokenError{}
	require.ErrorAs(t, err, &broken)
	require.Equal(t, 2, broken.Seq)
}

func TestATruncatedAuditLogIsFound(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Auth), keyring(t)
	auditor := func() *trail.Attester {
		return &trail.Attester{
			Trail: postgres.NewAuditTrail(db.Pool), Signer: memory.Signer{}, Now: time.Now, Keys: postgres.AuditKeys(keys),
			Close: postgres.AuditClosing(db.Pool, 0),
		}
	}
	write := func(writer byte) *trail.Attester {
		log := postgres.NewAuditLog(db.Pool, keys, id.ID{writer}, slog.New(slog.DiscardHandler))
		require.NoError(t, log.Append(t.Context(), audit.Entry{At: time.Unix(1, 0), Actor: "admin", Outcome: audit.Done}))
		s := auditor()
		_, err := s.Step(t.Context())
		require.NoError(t, err)
		return s
	}
	alive := write(1)
	was, err := alive.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err)
	require.Equal(t, 1, was.ClosedBy, "a new system never had rows without a key")
	anchor := audit.Anchor{Checkpoints: []audit.Mark{was.Last}}
	_, err = alive.Verify(t.Context(), anchor)
	require.NoError(t, err)
	exec(t, db.Admin, "TRUNCATE audit_log, audit_checkpoints")
	_, err = auditor().Verify(t.Context(), audit.Anchor{})
	require.ErrorIs(t, err, trail.ErrEmpty)
	_, err = auditor().Verify(t.Context(), anchor)
	require.ErrorAs(t, err, new(audit.TamperedError))
	write(2)
	_, err = auditor().Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err, "it began anew, after a restart of all")
	_, err = auditor().Verify(t.Context(), anchor)
	require.ErrorAs(t, err, new(audit.TamperedError))
}

func snapshotOf(t *testing.T, db *pgtest.DB) (rows []audit.Row) {
	t.Helper()
	require.NoError(t,
		postgres.NewAuditTrail(db.Pool).Rows(t.Context(), func(r audit.Row) error { rows = append(rows, r); return nil }))
	return rows
}

// million generates a customer base: 10^6 accounts of 5*10^5 customers, 1 in 1000 suspended, a line each; 10^6 events
// of 10^4 ids, 10 of them locked. All have one name, since sealing a million names takes long.
func million(t *testing.T, keys ports.Vault) []string {
	t.Helper()
	sealed := func(purpose, clear string) string {
		raw, err := keys.Seal(sealing.At(purpose), []byte(clear))
		require.NoError(t, err)
		return fmt.Sprintf(`'\x%x'`, raw)
	}
	rows := strconv.Itoa(tableRows(100_000))
	name, phone, email := sealed("auth.users.name", "홍길동"), sealed("auth.users.phone", ""), sealed("auth.users.email", "")
	return []string{
		"ALTER TABLE user_lines DROP CONSTRAINT user_lines_user_id_fkey",
		"ALTER TABLE user_roles DROP CONSTRAINT user_roles_user_id_fkey",
		"ALTER TABLE users DISABLE TRIGGER one_user_id_of_any_case",
		`INSERT INTO users (user_id, password_hash, name_sealed, phone_sealed, phone_index, email_sealed, email_index,
			customer_id, status)
			SELECT 'user' || i, '', ` + name + ", " + phone + ", '', " + email + `, '', 'C' || i / 2,
				CASE WHEN i % 1000 = 0 THEN 'SUSPENDED' ELSE 'ACTIVE' END FROM generate_series(1, ` + rows + `) AS i`,
		`INSERT INTO user_lines (user_id, position, line_sealed, line_index)
			SELECT 'user' || i, 1, ` + sealed("auth.user_lines.line", "01012345678") + `, decode(md5(i::text), 'hex')
			FROM generate_series(1, ` + rows + `) AS i`,
		`INSERT INTO user_roles (user_id, role) SELECT 'user' || i, CASE WHEN i % 50000 = 10 THEN 'ADMIN' ELSE 'CUSTOMER' END
			FROM generate_series(10, ` + rows + `, 10) AS i`,
		`INSERT INTO login_history (id, at, user_id, subject, type, success, reason, ip, user_agent)
			SELECT gen_random_uuid(), timestamptz '2026-01-01' + i * interval '1 s', 'user' || i % 10000,
				decode(md5((i % 10000)::text), 'hex'), 'LOGIN', true, '', '', '' FROM generate_series(1, ` + rows + `) AS i`,
		`INSERT INTO login_attempts (subject, failures, locked_until, updated_at)
			SELECT decode(md5(i::text), 'hex'), 5, CASE WHEN i <= 10 THEN timestamptz '2026-03-02 01:00+00' END, now()
			FROM generate_series(1, 100000) AS i`,
		"ANALYZE",
	}
}

// TestAccountQueriesWithManyRows reads PostgreSQL's plans of the queries of staff, and counts the statements: their
// number does not depend on the number of rows.
func TestAccountQueriesWithManyRows(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Auth), keyring(t)
	for _, statement := range million(t, keys) {
		_, err := db.Admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	search := func(f auth.AccountFilter) func(*pgxpool.Pool) error {
		return func(pool *pgxpool.Pool) error {
			f.Now, f.Page, f.Size = now, 2, 20
			_, _, err := postgres.NewAccounts(pool, keys).Search(t.Context(), f)
			return err
		}
	}
	const three = 3
	for name, c := range map[string]struct {
		call       func(*pgxpool.Pool) error
		statements int
		indexes    []string
	}{
		"all":         {search(auth.AccountFilter{}), three, []string{"users_pkey"}},
		"suspended":   {search(auth.AccountFilter{Status: auth.Suspended}), three, []string{"users_status"}},
		"active":      {search(auth.AccountFilter{Status: auth.Active}), three, []string{"users_"}},
		"by id":       {search(auth.AccountFilter{UserID: "User7"}), three, []string{"users_folded"}},
		"by customer": {search(auth.AccountFilter{CustomerID: "C7"}), three, []string{"users_customer"}},
		"customer and status": {search(auth.AccountFilter{CustomerID: "C7", Status: auth.Active}), three,
			[]string{"users_customer"}},
		"by line": {search(auth.AccountFilter{Line: portstest.Line(1)}), three, []string{"user_lines_line", "users_pkey"}},
		"locked": {
			search(auth.AccountFilter{Status: auth.LockedOut}), three,
			[]string{"login_attempts_locked", "login_history_subject", "users_pkey"},
		},
		"login history": {func(pool *pgxpool.Pool) error {
			_, _, err := postgres.NewLoginHistory(pool, keys).Page(t.Context(), "user7", 3, 20)
			return err
		}, 2, []string{"login_history_subject"}},
		"login history of an id with capitals": {func(pool *pgxpool.Pool) error {
			_, _, err := postgres.NewLoginHistory(pool, keys).Page(t.Context(), "User7", 3, 20)
			return err
		}, 2, []string{"login_history_subject"}},
		"ids that clash": {func(pool *pgxpool.Pool) error {
			_, err := postgres.NewAccounts(pool, keys).Clashes(t.Context(), 10)
			return err
		}, 1, []string{"users_folded"}},
		"an administrator steps down": {func(pool *pgxpool.Pool) error {
			_, err := postgres.NewUsers(pool, keys).Change(t.Context(), "user10", func(u auth.User) (auth.User, error) {
				u.Status = auth.Suspended
				return u, nil
			})
			return err
		}, 11, []string{"user_roles_staff", "users_pkey"}},
		"login": {func(pool *pgxpool.Pool) error {
			_, err := postgres.NewUsers(pool, keys).ByLogin(t.Context(), "User7")
			return err
		}, 1, []string{"users_folded", "users_pkey", "user_lines_pkey", "user_roles_pkey"}},
	} {
		seen := &statements{}
		config, err := pgxpool.ParseConfig(db.URL)
		require.NoError(t, err)
		config.ConnConfig.Tracer = seen
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		require.NoError(t, c.call(pool), name)
		pool.Close()
		plan := explain(t, db.Admin, seen, "")
		for _, big := range []string{"users", "users u", "user_lines", "user_lines l", "user_roles r", "login_history",
			"login_history h"} {
			require.NotContains(t, plan, "Seq Scan on "+big+" ", name)
		}
		for _, index := range c.indexes {
			require.Contains(t, plan, index, name)
		}
		require.Len(t, seen.all, c.statements, name)
	}
}

// snapshot reads the log inside a transaction that is never committed.
func snapshot(t *testing.T, tx pgx.Tx) []audit.Row {
	t.Helper()
	found, err := tx.Query(t.Context(), `SELECT writer, seq, at, actor, action, subject, reason, outcome, detail, ip,
		previous_hash, hash, keyed FROM audit_log ORDER BY writer, seq`)
	require.NoError(t, err)
	defer found.Close()
	var rows []audit.Row
	for found.Next() {
		var r audit.Row
		var writer [16]byte
		require.NoError(t, found.Scan(&writer, &r.Seq, &r.At, &r.Actor, &r.Action, &r.Subject, &r.Reason, &r.Outcome,
			&r.Detail, &r.IP, &r.Previous, &r.Hash, &r.Keyed))
		r.Writer = writer
		rows = append(rows, r)
	}
	require.NoError(t, found.Err())
	return rows
}

func TestTheAuditLogIsReadNewestFirst(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Auth)
	log := postgres.NewAuditLog(db.Pool, keyring(t), id.ID{1}, slog.New(slog.DiscardHandler))
	add := func(n int, actor, action, subject string) audit.Entry {
		e := audit.Entry{
			At: noon.Add(time.Duration(n) * time.Minute), Actor: actor, Action: action, Subject: subject, Reason: "시험",
			Outcome: audit.Done, Detail: `{"n":1}`, IP: "203.0.113.9",
		}
		require.NoError(t, log.Append(t.Context(), e))
		e.Writer, e.Seq = id.ID{1}, n
		return e
	}
	one := add(1, "kim", "USER_SHOWN", "hong")
	two := add(2, "lee", "USER_UNLOCKED", "hong")
	three := add(3, "kim", "USER_UNLOCKED", "park")
	trail := postgres.NewAuditTrail(db.Pool)
	for name, c := range map[string]struct {
		f    audit.Filter
		want []audit.Entry
	}{
		"all":     {audit.Filter{}, []audit.Entry{three, two, one}},
		"actor":   {audit.Filter{Actor: "kim"}, []audit.Entry{three, one}},
		"action":  {audit.Filter{Action: "USER_UNLOCKED"}, []audit.Entry{three, two}},
		"subject": {audit.Filter{Subject: "hong"}, []audit.Entry{two, one}},
		"since":   {audit.Filter{Since: two.At}, []audit.Entry{three, two}},
		"nothing": {audit.Filter{Actor: "kim", Subject: "x"}, []audit.Entry{}},
	} {
		c.f.Page, c.f.Size = 1, 20
		page, total, err := trail.Page(t.Context(), c.f)
		require.NoError(t, err)
		require.Equal(t, c.want, page, name)
		require.Equal(t, len(c.want), total, name)
	}
	page, total, err := trail.Page(t.Context(), audit.Filter{Page: 2, Size: 2})
	require.NoError(t, err)
	require.Equal(t, []audit.Entry{one}, page)
	require.Equal(t, 3, total)
	db.Pool.Close()
	_, _, err = trail.Page(t.Context(), audit.Filter{Page: 1, Size: 2})
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
}

// TestOldAccountsThatDifferInCaseAlone: they exist before the migration that prevents new ones, are reported, and log
// in by exact spelling until all but one are INACTIVE.
func TestOldAccountsThatDifferInCaseAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Auth)
	keys := keyring(t)
	users, accounts := postgres.NewUsers(db.Pool, keys), postgres.NewAccounts(db.Pool, keys)
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	trigger := func(how string) {
		_, err := db.Admin.Exec(t.Context(), "ALTER TABLE users "+how+" TRIGGER one_user_id_of_any_case")
		require.NoError(t, err)
	}
	trigger("DISABLE")
	for _, user := range []auth.UserID{"Kim123", "kim123", "lee123", "Hong12", "HONG12", "hong12"} {
		require.NoError(t, users.Create(t.Context(), auth.User{UserID: user, Status: auth.Active, CreatedAt: now}))
	}
	trigger("ENABLE")
	found, err := accounts.Clashes(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []auth.UserID{"HONG12", "Hong12", "hong12", "Kim123", "kim123"}, found)
	found, err = accounts.Clashes(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []auth.UserID{"HONG12", "Hong12", "hong12"}, found)

	meant := func(typed auth.UserID) auth.UserID {
		t.Helper()
		user, err := users.ByLogin(t.Context(), typed)
		if err != nil {
			require.ErrorIs(t, err, fault.New(fault.UserNotFound))
		}
		return user.UserID
	}
	for typed, want := range map[auth.UserID]auth.UserID{
		"Kim123": "Kim123", "kim123": "kim123", "KIM123": "", "LEE123": "lee123",
	} {
		require.Equal(t, want, meant(typed), typed)
	}
	_, err = users.Change(t.Context(), "Kim123",
		func(u auth.User) (auth.User, error) { u.Status = auth.Inactive; return u, nil })
	require.NoError(t, err)
	require.Equal(t, auth.UserID("kim123"), meant("KIM123"))
	require.Equal(t, auth.UserID("Kim123"), meant("Kim123"))
	found, err = accounts.Clashes(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []auth.UserID{"HONG12", "Hong12", "hong12"}, found)
	added, err := accounts.AddAll(t.Context(), []auth.User{
		{UserID: "KIM123", Status: auth.Active, CreatedAt: now}, {UserID: "park12", Status: auth.Active, CreatedAt: now},
		{UserID: "Park12", Status: auth.Active, CreatedAt: now},
	})
	require.NoError(t, err)
	require.Equal(t, 1, added, "one statement sees its own rows")
	byID, total, err := accounts.Search(t.Context(), auth.AccountFilter{UserID: "KIM123", Now: now, Page: 1, Size: 10})
	require.NoError(t, err)
	require.Equal(t, 2, total)
	require.Equal(t, auth.UserID("Kim123"), byID[0].UserID)
}

// TestGuessesOfClashingUserIDsAreCountedApart: an unlock of one leaves the other locked, and each lock shows at its own
// account.
func TestGuessesOfClashingUserIDsAreCountedApart(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Auth)
	keys, now := keyring(t), time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	users, accounts := postgres.NewUsers(db.Pool, keys), postgres.NewAccounts(db.Pool, keys)
	guesses, history := postgres.NewGuesses(db.Pool, keys, auth.DefaultLockout()), postgres.NewLoginHistory(db.Pool, keys)
	exec(t, db.Admin, "ALTER TABLE users DISABLE TRIGGER one_user_id_of_any_case")
	for _, user := range []auth.UserID{"Kim123", "kim123"} {
		require.NoError(t, users.Create(t.Context(), auth.User{UserID: user, Status: auth.Active, CreatedAt: now}))
	}
	for range auth.DefaultLockout().Failures {
		guess, err := guesses.Take(t.Context(), auth.Subject{UserID: "Kim123"}, now)
		require.NoError(t, err)
		_, err = guesses.Fail(t.Context(), auth.Subject{UserID: "Kim123"}, guess, now)
		require.NoError(t, err)
	}
	require.NoError(t, history.Append(t.Context(), auth.LoginEvent{
		ID: id.ID{1}, UserID: "Kim123", Known: true, Type: auth.EventLocked, At: now,
	}))
	require.NoError(t, guesses.Clear(t.Context(), "kim123"))
	locked, total, err := accounts.Search(t.Context(),
		auth.AccountFilter{Status: auth.LockedOut, Now: now, Page: 1, Size: 10})
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, auth.UserID("Kim123"), locked[0].UserID)
	both, _, err := accounts.Search(t.Context(), auth.AccountFilter{UserID: "kim123", Now: now, Page: 1, Size: 10})
	require.NoError(t, err)
	require.Equal(t, []bool{true, false}, []bool{both[0].LockedUntil.After(now), both[1].LockedUntil.After(now)})
}
