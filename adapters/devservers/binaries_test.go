package devservers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fake makes a folder with an initdb and a postgres that only print their version.
func fake(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho '%s'\n", version)
	for _, name := range []string{"initdb", "postgres"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

func TestBinariesComeFromPGBINDIRAlone(t *testing.T) {
	good := fake(t, "postgres (PostgreSQL) 16.2")
	t.Setenv("PG_BINDIR", good)
	dir, err := FindBinaries(fake(t, "postgres (PostgreSQL) 17.1"))
	require.NoError(t, err)
	require.Equal(t, good, dir)

	for name, bad := range map[string]string{
		"too old": fake(t, "postgres (PostgreSQL) 14.9"), "not postgres": fake(t, "hello"), "empty": t.TempDir(),
		"huge": fake(t, "postgres (PostgreSQL) 99999999999999999999"),
	} {
		t.Setenv("PG_BINDIR", bad)
		_, err = FindBinaries()
		require.ErrorContainsf(t, err, "PG_BINDIR", "%s: a wrong setting is an error, not a reason to look elsewhere", name)
		_, err = StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: t.TempDir()})
		require.ErrorContains(t, err, "PG_BINDIR")
	}
	broken := fake(t, "")
	require.NoError(t, os.WriteFile(filepath.Join(broken, "postgres"), []byte("#!/bin/sh\nexit 3\n"), 0o755))
	t.Setenv("PG_BINDIR", broken)
	_, err = FindBinaries()
	require.ErrorContains(t, err, "exit status 3")
}

func TestExtraFoldersComeFirst(t *testing.T) {
	t.Setenv("PG_BINDIR", "")
	extra := fake(t, "postgres (PostgreSQL) 17.1 (Debian)")
	dir, err := FindBinaries(t.TempDir(), extra)
	require.NoError(t, err)
	require.Equal(t, extra, dir)
}

func TestPATHIsTheLastPlace(t *testing.T) {
	t.Setenv("PG_BINDIR", "")
	dir := fake(t, "postgres (PostgreSQL) 17.1")
	t.Setenv("PATH", dir)
	all := candidates(nil)
	require.Equal(t, dir, all[len(all)-1])
}

func TestChooseFitsTheData(t *testing.T) {
	t.Parallel()
	found := []installation{{"/17", 17}, {"/15", 15}}
	for version, want := range map[int]string{0: "/17", 15: "/15", 17: "/17"} {
		got, err := choose(found, version)
		require.NoError(t, err)
		require.Equal(t, want, got.dir)
	}
	_, err := choose(found, 16)
	require.ErrorIs(t, err, errOtherVersion)
}

func TestPIDFileCutShort(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "postmaster.pid")
	for _, text := range []string{"", "abc\n", "1\n", "-7\n"} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		pid, err := readPID(file)
		require.NoError(t, err)
		require.Zero(t, pid)
	}
	_, err := readPID(t.TempDir())
	require.ErrorContains(t, err, "postmaster.pid")
}

func TestTailKeepsTheEnd(t *testing.T) {
	t.Parallel()
	last := &tail{}
	for i := range 1000 {
		_, _ = fmt.Fprintf(last, "line %d\n", i)
	}
	require.LessOrEqual(t, len(last.String()), tailSize)
	require.Contains(t, last.String(), "line 999")
}
