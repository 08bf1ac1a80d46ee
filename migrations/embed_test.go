package migrations

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestEveryDatabaseHasItsMigrations(t *testing.T) {
	t.Parallel()
	require.Len(t, All(), 4)
	for _, db := range All() {
		names, err := fs.Glob(FS(db), "*.sql")
		require.NoError(t, err)
		require.NotEmptyf(t, names, "no migration of %s is embedded", db)
	}
}

func TestUnknownDatabasePanics(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { FS("orders") })
}

func TestHashFollowsNamesAndContent(t *testing.T) {
	t.Parallel()
	require.Regexp(t, "^[0-9a-f]{16}$", Hash())
	require.Equal(t, Hash(), Hash())
	of := func(files fstest.MapFS) string { return hash(files) }
	base := of(fstest.MapFS{"auth/1.sql": {Data: []byte("a")}, "bill/1.sql": {Data: []byte("b")}})
	require.NotEqual(t, base, of(fstest.MapFS{"auth/1.sql": {Data: []byte("a")}, "bill/1.sql": {Data: []byte("c")}}),
		"content")
	require.NotEqual(t, base, of(fstest.MapFS{"auth/1.sql": {Data: []byte("a")}, "bill/2.sql": {Data: []byte("b")}}),
		"name")
}
