package pgtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres/pgtest"
	"phonebill/migrations"
)

func TestEachTestHasItsOwnMigratedDatabase(t *testing.T) {
	t.Parallel()
	for _, db := range migrations.All() {
		t.Run(string(db), func(t *testing.T) {
			t.Parallel()
			one, two := pgtest.New(t, db), pgtest.New(t, db)
			require.NotEqual(t, one.Name, two.Name)
			var user string
			require.NoError(t, one.Pool.QueryRow(t.Context(), "SELECT current_user").Scan(&user))
			require.Equal(t, "phonebill_"+string(db), user)
			require.NoError(t, one.Admin.QueryRow(t.Context(), "SELECT current_user").Scan(&user))
			require.Equal(t, "phonebill_"+string(db)+"_owner", user)
			var version int
			require.NoError(t, two.Admin.QueryRow(t.Context(), "SELECT max(version_id) FROM goose_db_version").Scan(&version))
			require.Positive(t, version)
			_, err := one.Admin.Exec(t.Context(), "CREATE TABLE only_here (i int)")
			require.NoError(t, err)
			_, err = two.Admin.Exec(t.Context(), "SELECT * FROM only_here")
			require.ErrorContains(t, err, "does not exist")
			_, err = one.Pool.Exec(t.Context(), "CREATE TEMP TABLE mine (i int)")
			require.ErrorContains(t, err, "permission denied", "the clone is sealed like the original")
		})
	}
}

func TestDatabaseIsDroppedAtTheEnd(t *testing.T) { //nolint:tparallel // the subtest must end before we look
	t.Parallel()
	adminURL, _ := pgtest.Server(t)
	var name string
	t.Run("user", func(t *testing.T) { // not parallel: it must end before we look
		db := pgtest.New(t, migrations.Auth)
		name = db.Name
		_, err := pgx.Connect(t.Context(), db.URL) // forgotten: must not keep the database
		require.NoError(t, err)
	})
	admin, err := pgx.Connect(t.Context(), adminURL)
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	var count int
	require.NoError(t,
		admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&count))
	require.Zero(t, count)
}

// verdict records how Server ends a test instead of ending this one.
type verdict struct {
	testing.TB
	text string
}

func (*verdict) Helper() {}
func (v *verdict) Skipf(format string, args ...any) {
	v.text = "skip: " + fmt.Sprintf(format, args...)
	panic(v)
}

func (v *verdict) Fatalf(format string, args ...any) {
	v.text = "fatal: " + fmt.Sprintf(format, args...)
	panic(v)
}

func TestMissingServerSkipsOrFails(t *testing.T) {
	t.Setenv("PHONEBILL_TEST_DATABASE_URL", "")
	for required, want := range map[string]string{"": "run `make test`", "1": "fatal: PHONEBILL_TEST_DATABASE_URL"} {
		t.Setenv("PHONEBILL_TEST_REQUIRED", required)
		v := &verdict{TB: t}
		require.Panics(t, func() { pgtest.Server(v) })
		require.Contains(t, v.text, want)
	}
}

func BenchmarkNew(b *testing.B) {
	pgtest.New(b, migrations.Bill)
	for b.Loop() {
		pgtest.New(b, migrations.Bill)
	}
}
