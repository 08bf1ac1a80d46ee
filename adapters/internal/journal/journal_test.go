package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internal/journal"
)

// read opens the journal and returns what it holds.
func read(t *testing.T, dir string) ([]int, error) {
	t.Helper()
	var got []int
	j, err := journal.Open(dir, "x.journal", func(n int) error { got = append(got, n); return nil })
	if err != nil {
		return got, err
	}
	return got, j.Close()
}

func TestSyncedRecordsAreReadAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tail string
		want []int
		ok   bool
	}{
		"whole":                {"", []int{1, 2}, true},
		"torn last record":     {"3", []int{1, 2}, true},
		"garbled last record":  {"{\x00\n", []int{1, 2}, true},
		"damage in the middle": {"{\x00\n3\n", []int{1, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			j, err := journal.Open(dir, "x.journal", func(int) error { return nil })
			require.NoError(t, err)
			j.Append(1)
			j.Append(2)
			require.NoError(t, j.Sync())
			require.NoError(t, j.Close())
			f, err := os.OpenFile(filepath.Join(dir, "x.journal"), os.O_APPEND|os.O_WRONLY, 0o600)
			require.NoError(t, err)
			_, err = f.WriteString(c.tail)
			require.NoError(t, err)
			require.NoError(t, f.Close())

			got, err := read(t, dir)
			require.Equal(t, c.want, got)
			require.Equal(t, c.ok, err == nil, err)
		})
	}
}

func TestALostRecordIsNeverForgotten(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(t.TempDir(), "x.journal", func(int) error { return nil })
	require.NoError(t, err)
	require.NoError(t, j.Close())
	j.Append(1)
	require.Error(t, j.Sync())
	require.Error(t, j.Sync())
}

func TestWithoutAFolderNothingIsKept(t *testing.T) {
	t.Parallel()
	j, err := journal.Open("", "x.journal", func(int) error { return nil })
	require.NoError(t, err)
	j.Append(1)
	require.NoError(t, j.Sync())
	require.NoError(t, j.Clear())
	require.NoError(t, j.Close())
}
