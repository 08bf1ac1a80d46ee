package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/fault"
	"phonebill/migrations"
)

// TestReadOnlySessionsAreReplaced: after a failover all sessions of a pool may be read-only. While the database gives
// no others, the readiness check fails; once it does, at most one write fails before all succeed again, on each of the
// four databases.
func TestReadOnlySessionsAreReplaced(t *testing.T) {
	t.Parallel()
	for _, database := range migrations.All() {
		t.Run(string(database), func(t *testing.T) {
			t.Parallel()
			db := writable(t, database)
			setting := func(value string) {
				_, err := db.Admin.Exec(t.Context(), "ALTER DATABASE "+pgx.Identifier{db.Name}.Sanitize()+
					" SET default_transaction_read_only = "+value)
				require.NoError(t, err)
			}
			require.NoError(t, postgres.Ping(db.Pool)(t.Context()))

			setting("on")
			db.Pool.Reset()
			openAll(t, db.Pool)
			err := postgres.Ping(db.Pool)(t.Context())
			require.ErrorIs(t, err, postgres.ErrReadOnly)
			require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))

			setting("off")
			openAll(t, db.Pool) // sessions that the check did not replace yet
			failed := 0
			for range 2 * db.Pool.Config().MaxConns {
				if err := write(t.Context(), db.Pool); err != nil {
					failed++
				}
			}
			require.LessOrEqual(t, failed, 1)
			require.NoError(t, postgres.Ping(db.Pool)(t.Context()))
		})
	}
}

func TestTheReadinessCheckReplacesReadOnlySessions(t *testing.T) {
	t.Parallel()
	db := writable(t, migrations.Auth)
	name := pgx.Identifier{db.Name}.Sanitize()
	_, err := db.Admin.Exec(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	require.NoError(t, err)
	db.Pool.Reset()
	openAll(t, db.Pool)
	_, err = db.Admin.Exec(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_read_only = off")
	require.NoError(t, err)
	require.NoError(t, postgres.Ping(db.Pool)(t.Context()))
	require.NoError(t, write(t.Context(), db.Pool))
}

// TestBrokenSessionsAreNotUsedAgain: whatever ends a session, the next statement runs on another one.
func TestBrokenSessionsAreNotUsedAgain(t *testing.T) {
	t.Parallel()
	db := writable(t, migrations.Auth)
	pool := sized(t, db.URL, 1)
	for cause, breaking := range map[string]func(pid int32) error{
		"a standby refuses a write": func(int32) error {
			_, err := pool.Exec(t.Context(),
				`DO $$ BEGIN RAISE EXCEPTION 'cannot execute UPDATE during recovery' USING ERRCODE = '25006'; END $$`)
			require.Error(t, err)
			return nil
		},
		"an administrator ends it": func(pid int32) error {
			_, err := db.Pool.Exec(t.Context(), "SELECT pg_terminate_backend($1, 5000)", pid)
			return err
		},
		"the connection is reset": func(int32) error {
			return pool.AcquireFunc(t.Context(), func(c *pgxpool.Conn) error { return c.Conn().PgConn().Conn().Close() })
		},
	} {
		before := backend(t, pool)
		require.NoError(t, breaking(before), cause)
		require.Eventually(t, func() bool { return write(t.Context(), pool) == nil }, 10*time.Second, 10*time.Millisecond,
			cause)
		require.NotEqual(t, before, backend(t, pool), cause)
	}
}

// TestTooManyClients: a server without a free connection is in trouble, and the first statement that gets one succeeds.
func TestTooManyClients(t *testing.T) {
	t.Parallel()
	db := writable(t, migrations.Auth)
	name := pgx.Identifier{db.Name}.Sanitize()
	_, err := db.Admin.Exec(t.Context(), "ALTER DATABASE "+name+" CONNECTION LIMIT 0")
	require.NoError(t, err)
	_, err = postgres.NewUsers(db.Pool, keyring(t)).ByID(t.Context(), "hong1234")
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	require.Positive(t, fault.From(err).RetryAfter())
	require.Error(t, postgres.Ping(db.Pool)(t.Context()))
	_, err = db.Admin.Exec(t.Context(), "ALTER DATABASE "+name+" CONNECTION LIMIT -1")
	require.NoError(t, err)
	require.NoError(t, write(t.Context(), db.Pool))
}

// TestAReplicaMayBeReadOnly: a pool for reads keeps its read-only sessions, whatever error a statement gets.
func TestAReplicaMayBeReadOnly(t *testing.T) {
	t.Parallel()
	db := writable(t, migrations.Bill)
	pool, err := postgres.Pool(t.Context(), db.URL, postgres.PoolConfig{MaxConns: 1, ReadOnly: true})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	before := backend(t, pool)
	_, err = pool.Exec(t.Context(), "SET default_transaction_read_only = on")
	require.NoError(t, err)
	require.Error(t, write(t.Context(), pool))
	require.Equal(t, before, backend(t, pool))
}

func sized(t *testing.T, url string, connections int32) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Pool(t.Context(), url, postgres.PoolConfig{MaxConns: connections})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func openAll(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for range pool.Config().MaxConns {
		c, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		defer c.Release()
	}
}

// writable returns a test's database with a table that write adds to.
func writable(t *testing.T, database migrations.Database) *pgtest.DB {
	t.Helper()
	db := pgtest.New(t, database)
	_, err := db.Admin.Exec(t.Context(),
		"CREATE TABLE written (at timestamptz DEFAULT now()); GRANT INSERT ON written TO PUBLIC")
	require.NoError(t, err)
	return db
}

func write(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, "INSERT INTO written DEFAULT VALUES")
	return err
}

func backend(t *testing.T, pool *pgxpool.Pool) (pid int32) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	return pid
}
