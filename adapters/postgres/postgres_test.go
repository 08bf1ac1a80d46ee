package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"phonebill/adapters/devservers"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/migrations"
)

// server starts one for the test: provisioning changes the passwords of roles, which the shared server needs as they
// are.
func server(t *testing.T) string {
	t.Helper()
	if _, err := devservers.FindBinaries(); err != nil && os.Getenv("PHONEBILL_TEST_REQUIRED") != "1" {
		t.Skipf("%v", err)
	}
	dir, err := devservers.TempDir("postgres-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	s, err := devservers.StartPostgreSQL(t.Context(), devservers.PostgreSQLOptions{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s.AdminURL()
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func requireDenied(t *testing.T, err error) {
	t.Helper()
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "42501", refused.Code, refused.Message)
}

func TestProvisionAndMigrateByManyStartersAtOnce(t *testing.T) {
	t.Parallel()
	adminURL := server(t)
	secrets := postgres.DerivePasswords("a secret")
	access, err := postgres.NewAccess(adminURL, secrets)
	require.NoError(t, err)
	var starters errgroup.Group
	for range 5 {
		starters.Go(func() error {
			if err := postgres.Provision(t.Context(), adminURL, secrets); err != nil {
				return err
			}
			for _, db := range migrations.All() {
				if err := postgres.Migrate(t.Context(), access.OwnerURL(db), db); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, starters.Wait())

	for _, db := range migrations.All() {
		app := connect(t, access.AppURL(db))
		owner := connect(t, access.OwnerURL(db))
		var applied int
		require.NoError(t,
			owner.QueryRow(t.Context(), "SELECT count(*) FROM goose_db_version WHERE version_id = 1").Scan(&applied))
		require.Equal(t, 1, applied, "each migration ran once")

		_, err = app.Exec(t.Context(), "CREATE TABLE public.own (i int)")
		requireDenied(t, err)
		_, err = app.Exec(t.Context(), "CREATE TEMP TABLE own (i int)")
		requireDenied(t, err)
		_, err = app.Exec(t.Context(), "DELETE FROM goose_db_version")
		requireDenied(t, err)
		for setting, want := range map[string]string{
			"timezone": "UTC", "statement_timeout": "10s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "15s",
		} {
			var got string
			require.NoError(t, app.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&got))
			require.Equal(t, want, got, setting)
		}
		for _, other := range migrations.All() {
			if other == db {
				continue
			}
			foreign, err := url.Parse(access.AppURL(db))
			require.NoError(t, err)
			foreign.Path = "/" + postgres.DatabaseName(other)
			_, err = pgx.Connect(t.Context(), foreign.String())
			requireDenied(t, err)
		}
	}

	// New secrets replace the old ones.
	changed := postgres.DerivePasswords("another secret")
	require.NoError(t, postgres.Provision(t.Context(), adminURL, changed))
	_, err = pgx.Connect(t.Context(), access.AppURL(migrations.Bill))
	require.ErrorContains(t, err, "password authentication failed")
}

// TestProvisionByAManagedServersAdmin is the case of a cloud database, whose admin is no superuser.
func TestProvisionByAManagedServersAdmin(t *testing.T) {
	t.Parallel()
	adminURL := server(t)
	super := connect(t, adminURL)
	_, err := super.Exec(t.Context(), "CREATE ROLE manager LOGIN CREATEDB CREATEROLE PASSWORD 'manager'")
	require.NoError(t, err)
	managed, err := url.Parse(adminURL)
	require.NoError(t, err)
	managed.User = url.UserPassword("manager", "manager")
	secrets := postgres.DerivePasswords("a secret")
	for range 2 {
		require.NoError(t, postgres.Provision(t.Context(), managed.String(), secrets))
	}
	access, err := postgres.NewAccess(managed.String(), secrets)
	require.NoError(t, err)
	require.NoError(t, postgres.Migrate(t.Context(), access.OwnerURL(migrations.Auth), migrations.Auth))
	require.NoError(t, connect(t, access.AppURL(migrations.Auth)).Ping(t.Context()))

	_, err = super.Exec(t.Context(), "ALTER ROLE manager NOCREATEDB NOCREATEROLE")
	require.NoError(t, err)
	requireDenied(t, postgres.Provision(t.Context(), managed.String(), secrets))
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	const nowhere = "postgres://u:p@127.0.0.1:1/x?sslmode=disable"
	require.ErrorContains(t, postgres.Provision(t.Context(), nowhere, postgres.DerivePasswords("s")), "connect as admin")
	require.ErrorContains(t, postgres.Migrate(t.Context(), nowhere, migrations.Bill), "migrate bill")
	require.Error(t, postgres.Migrate(t.Context(), "postgres://%", migrations.Bill))
	pool, err := postgres.Pool(t.Context(), nowhere, postgres.PoolConfig{})
	require.NoError(t, err, "a service starts while its database is down")
	defer pool.Close()
	require.EqualValues(t, 20, pool.Config().MaxConns)
	require.Error(t, pool.Ping(t.Context()))
	_, err = postgres.CheckCapacity(t.Context(), pool, 1)
	require.ErrorContains(t, err, "max_connections")
	_, err = postgres.Pool(t.Context(), "postgres://%", postgres.PoolConfig{})
	require.ErrorContains(t, err, "database URL")
}

func TestAccessURLs(t *testing.T) {
	t.Parallel()
	secrets := postgres.DerivePasswords("a secret")
	access, err := postgres.NewAccess(
		"postgresql://admin:pw@db.example:6432/postgres?sslmode=verify-full&user=admin&password=pw", secrets)
	require.NoError(t, err)
	app := secrets[migrations.Bill].App
	require.Equal(t, "postgresql://phonebill_bill:"+app+"@db.example:6432/phonebill_bill?sslmode=verify-full",
		access.AppURL(migrations.Bill))
	require.Contains(t, access.OwnerURL(migrations.KOS), "//phonebill_kos_owner:"+secrets[migrations.KOS].Owner+"@")
	require.Contains(t, access.OwnerURLOf(migrations.KOS, "other"), "/other?")

	for _, bad := range []string{"host=there user=x password=hush", "postgres://u:hush@%zz/"} {
		_, err = postgres.NewAccess(bad, secrets)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hush")
		require.Error(t, postgres.Provision(t.Context(), bad, secrets))
	}
	_, err = postgres.NewAccess("postgres://there", postgres.Passwords{migrations.Auth: {Owner: "x"}})
	require.ErrorContains(t, err, "auth")
}

func TestPasswordsAreDerivedAndNeverPrinted(t *testing.T) {
	t.Parallel()
	one, again, other := postgres.DerivePasswords("1"), postgres.DerivePasswords("1"), postgres.DerivePasswords("2")
	require.Equal(t, one, again)
	seen := map[string]bool{}
	for _, set := range []postgres.Passwords{one, other} {
		for _, db := range migrations.All() {
			seen[set[db].App], seen[set[db].Owner] = true, true
		}
	}
	require.Len(t, seen, 16, "all different")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.False(t, strings.Contains(fmt.Sprintf(format, one), one[migrations.Bill].App), format)
	}
}

func TestPoolIsInUTC(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	pool, err := postgres.Pool(t.Context(), db.URL,
		postgres.PoolConfig{MaxConns: 3, Name: "a test", ConnectTimeout: time.Second})
	require.NoError(t, err)
	defer pool.Close()
	var at time.Time
	var zone, name string
	err = pool.QueryRow(t.Context(), `SELECT timestamptz '2026-03-01 09:00+09',
		current_setting('timezone'), current_setting('application_name')`).Scan(&at, &zone, &name)
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), at)
	require.Equal(t, "UTC", zone)
	require.Equal(t, "a test", name)
}

func TestCheckCapacityWarns(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	warning, err := postgres.CheckCapacity(t.Context(), db.Pool, 1)
	require.NoError(t, err)
	require.Empty(t, warning)
	warning, err = postgres.CheckCapacity(t.Context(), db.Pool, 1000)
	require.NoError(t, err)
	require.Contains(t, warning, "1000 instances x 8 connections = 8000")
}
