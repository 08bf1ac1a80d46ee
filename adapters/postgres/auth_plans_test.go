package postgres_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/migrations"
	"phonebill/ports/portstest"
)

// loginRows are a million accounts, counters and sessions; keys that grow, and no foreign key and no trigger, make that quick.
const loginRows = `ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey;
		ALTER TABLE users DISABLE TRIGGER one_user_id_of_any_case;
		INSERT INTO users (user_id, password_hash, name_sealed, phone_sealed, phone_index, email_sealed, email_index, customer_id,
			status)
		SELECT 'user' || lpad(i::text, 8, '0'), '', '', '', '', '', '', '', 'ACTIVE' FROM generate_series(1, $rows) AS i;
		INSERT INTO login_attempts (subject, user_index, failures, updated_at)
		SELECT decode(lpad(to_hex(i), 32, '0'), 'hex'), decode(lpad(to_hex(i / 3), 32, '0'), 'hex'), i % 5,
			timestamptz '2026-01-01' + i * interval '1 s'
		FROM generate_series(1, $rows) AS i;
		INSERT INTO sessions (id, user_id, auto_login, created_at, last_seen_at, expires_at, generation, rotated_at, revoked_at, ip,
			user_agent)
		SELECT lpad(to_hex(i), 32, '0')::uuid, 'user' || lpad(i::text, 8, '0'), false, now(), now(), now() + interval '1 day', 1, now(),
			CASE WHEN i % 10 > 0 THEN now() END, '', ''
		FROM generate_series(1, $rows) AS i`

// TestLoginUsesIndexes asks PostgreSQL how it would run what a login sends.
func TestLoginUsesIndexes(t *testing.T) {
	t.Parallel()
	db, seen, keys := pgtest.New(t, migrations.Auth), &statements{}, keyring(t)
	fill := strings.ReplaceAll(loginRows, "$rows", strconv.Itoa(tableRows(20_000))) + "; ANALYZE users, login_attempts, sessions"
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
	_, err = sessions.Create(t.Context(), policy.NewSession(id.ID{0xff}, "user00000007", false, auth.Client{}, now), policy)
	require.NoError(t, err)
	_, err = sessions.Sweep(t.Context(), now, 10)
	require.NoError(t, err)
	require.NoError(t, users.RecordLogin(t.Context(), "user00000007", now))
	require.NoError(t, users.Rehash(t.Context(), "user00000007", personal.NewSecret("?"), portstest.Owner().PasswordHash))

	for table, indexes := range map[string][]string{
		"users": {"users_pkey", "users_folded"}, "login_attempts": {"login_attempts_pkey", "login_attempts_user", "login_attempts_updated"},
		"sessions": {"sessions_live", "sessions_expires"},
	} {
		plans := explain(t, db.Admin, seen, table)
		require.NotContains(t, plans, "Seq Scan on "+table, plans)
		for _, index := range indexes {
			require.Contains(t, plans, index)
		}
	}
}
