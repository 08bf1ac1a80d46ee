// Package pgtest gives each test a migrated database of its own in about 20 ms, by cloning a template that is made once
// per state of the migrations. Tests run as the least-right role of the services, so that a missing GRANT fails a test.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/migrations"
)

const (
	urlVariable      = "PHONEBILL_TEST_DATABASE_URL"
	requiredVariable = "PHONEBILL_TEST_REQUIRED"
	// templateLock is the advisory lock under which one test process makes a template and the others wait ("pb templ" in
	// ASCII).
	templateLock int64 = 0x70622074656d706c
)

// DB is a test's own database; it is dropped when the test ends.
type DB struct {
	Pool  *pgxpool.Pool // as the services' role: what the GRANTs allow and no more
	Admin *pgxpool.Pool // as the owner: for what the services' role may not do
	URL   string        // what Pool connects to
	Name  string        // of the database on the server
}

// Server is the test server's admin URL and the role passwords that all test processes share on it (roles belong to the
// server, so a test that provisions it must use these). Without a server the test is skipped, or fails when
// PHONEBILL_TEST_REQUIRED=1.
func Server(t testing.TB) (adminURL string, secrets postgres.Passwords) {
	t.Helper()
	adminURL = os.Getenv(urlVariable)
	if adminURL == "" {
		if os.Getenv(requiredVariable) == "1" {
			t.Fatalf("%s is not set, but %s=1 demands it", urlVariable, requiredVariable)
		}
		t.Skipf("needs PostgreSQL (%s is not set): run `make test`", urlVariable)
	}
	return adminURL, postgres.DerivePasswords(adminURL)
}

// New makes the test's database, with all migrations of db applied.
func New(t testing.TB, db migrations.Database) *DB {
	t.Helper()
	adminURL, secrets := Server(t)
	access, err := postgres.NewAccess(adminURL, secrets)
	require.NoError(t, err)
	ctx := t.Context()
	admin, err := pgx.Connect(ctx, adminURL)
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.WithoutCancel(ctx)) }()
	template := fmt.Sprintf("phonebill_template_%s_%s", db, migrations.Hash())
	require.NoError(t, ensureTemplate(ctx, admin, adminURL, access, secrets, db, template))

	name := fmt.Sprintf("phonebill_test_%s_%s", db, strings.ToLower(rand.Text()))
	quoted := pgx.Identifier{name}.Sanitize()
	// STRATEGY file_copy: with fsync off copying files beats writing the log of all pages.
	_, err = admin.Exec(ctx, "CREATE DATABASE "+quoted+" TEMPLATE "+pgx.Identifier{template}.Sanitize()+
		" STRATEGY file_copy OWNER "+pgx.Identifier{postgres.OwnerRole(db)}.Sanitize())
	require.NoError(t, err)
	t.Cleanup(func() { drop(t, adminURL, quoted) })
	require.NoError(t, postgres.Seal(ctx, admin, db, name))

	d := &DB{URL: access.AppURLOf(db, name), Name: name}
	d.Pool = pool(t, d.URL, 8)
	d.Admin = pool(t, access.OwnerURLOf(db, name), 2)
	return d
}

func pool(t testing.TB, url string, size int32) *pgxpool.Pool {
	t.Helper()
	p, err := postgres.Pool(context.WithoutCancel(t.Context()), url, postgres.PoolConfig{MaxConns: size, Name: "pgtest"})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// drop runs at cleanup, when the test's context is over. FORCE ends connections that the test forgot.
func drop(t testing.TB, adminURL, quoted string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	admin, err := pgx.Connect(ctx, adminURL)
	require.NoError(t, err)
	defer func() { _ = admin.Close(ctx) }()
	_, err = admin.Exec(ctx, "DROP DATABASE "+quoted+" WITH (FORCE)")
	require.NoError(t, err)
}

// ensureTemplate makes the template if no test process has yet. It is marked as a template last, so a half-made one is
// never cloned; the next process makes it anew.
func ensureTemplate(
	ctx context.Context, admin *pgx.Conn, adminURL string, access postgres.Access, secrets postgres.Passwords,
	db migrations.Database, template string,
) error {
	if ready, err := isTemplate(ctx, admin, template); ready || err != nil {
		return err
	}
	if _, err := admin.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return fmt.Errorf("wait for the template: %w", err)
	}
	defer func() { _, _ = admin.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", templateLock) }()
	if ready, err := isTemplate(ctx, admin, template); ready || err != nil {
		return err
	}
	quoted := pgx.Identifier{template}.Sanitize()
	if _, err := admin.Exec(ctx, "DROP DATABASE IF EXISTS "+quoted+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop a half-made template: %w", err)
	}
	if err := postgres.ProvisionAs(ctx, adminURL, secrets, db, template); err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	if err := postgres.Migrate(ctx, access.OwnerURLOf(db, template), db); err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	if _, err := admin.Exec(ctx, "ALTER DATABASE "+quoted+" ALLOW_CONNECTIONS false IS_TEMPLATE true"); err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	return nil
}

func isTemplate(ctx context.Context, admin *pgx.Conn, name string) (bool, error) {
	var ready bool
	err := admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)",
		name).Scan(&ready)
	if err != nil {
		return false, fmt.Errorf("look for the template: %w", err)
	}
	return ready, nil
}
