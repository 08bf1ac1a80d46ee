package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/devservers"
)

func ours(t *testing.T, args ...string) (int, string, error) {
	t.Helper()
	var out bytes.Buffer
	code, err := run(t.Context(), make(chan os.Signal), args, &out, &out)
	return code, out.String(), err
}

func TestServersOfTheEnvironmentAreUsed(t *testing.T) {
	t.Setenv("PHONEBILL_TEST_DATABASE_URL", "postgres://there")
	t.Setenv("PHONEBILL_TEST_VALKEY_ADDR", "there:1")
	code, out, err := ours(t, "sh", "-c",
		"echo $PHONEBILL_TEST_DATABASE_URL $PHONEBILL_TEST_VALKEY_ADDR $PHONEBILL_TEST_REQUIRED")
	require.NoError(t, err)
	require.Zero(t, code)
	require.Equal(t, "postgres://there there:1 1\n", out)

	code, _, err = ours(t, "sh", "-c", "exit 7")
	require.NoError(t, err)
	require.Equal(t, 7, code, "the command's exit code is ours")

	code, _, err = ours(t, "sh", "-c", "kill -KILL $$")
	require.NoError(t, err)
	require.Equal(t, 128+9, code, "as a shell tells a signal")

	code, _, err = ours(t, "/none/there")
	require.ErrorContains(t, err, "/none/there")
	require.Equal(t, 1, code)
}

func TestExitCodeAndWordsOfTheProgram(t *testing.T) {
	t.Setenv("PHONEBILL_TEST_DATABASE_URL", "postgres://there")
	t.Setenv("PHONEBILL_TEST_VALKEY_ADDR", "there:1")
	var out bytes.Buffer
	require.Equal(t, 2, start(t.Context(), nil, &out, &out))
	require.Contains(t, out.String(), "usage")
	require.Equal(t, 4, start(t.Context(), []string{"sh", "-c", "exit 4"}, &out, &out))
	require.Equal(t, 1, start(t.Context(), []string{"/none/there"}, &out, &out))
	require.Contains(t, out.String(), "testenv: run /none/there")
}

func TestServersThatCannotStart(t *testing.T) {
	t.Setenv("PHONEBILL_TEST_DATABASE_URL", "")
	t.Setenv("PHONEBILL_TEST_VALKEY_ADDR", "there:1")
	t.Setenv("PG_BINDIR", t.TempDir())
	code, _, err := ours(t, "true")
	require.ErrorContains(t, err, "PG_BINDIR")
	require.Equal(t, 1, code)
}

func TestSignalsReachTheCommand(t *testing.T) {
	t.Setenv("PHONEBILL_TEST_DATABASE_URL", "postgres://there")
	t.Setenv("PHONEBILL_TEST_VALKEY_ADDR", "there:1")
	ready := filepath.Join(t.TempDir(), "ready")
	signals := make(chan os.Signal)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C { // the trap is set once the file is there
			if _, err := os.Stat(ready); err == nil {
				signals <- syscall.SIGTERM
				return
			}
		}
	}()
	var out bytes.Buffer
	script := "trap 'echo got it; exit 3' TERM; touch " + ready + "; while :; do sleep 0.05; done"
	code, err := run(t.Context(), signals, []string{"sh", "-c", script}, &out, &out)
	require.NoError(t, err)
	require.Equal(t, 3, code)
	require.Contains(t, out.String(), "got it")
}

func TestServersLiveAsLongAsTheCommand(t *testing.T) {
	if _, err := devservers.FindBinaries(); err != nil && os.Getenv("PHONEBILL_TEST_REQUIRED") != "1" {
		t.Skipf("%v", err)
	}
	t.Setenv("PHONEBILL_TEST_DATABASE_URL", "")
	t.Setenv("PHONEBILL_TEST_VALKEY_ADDR", "")
	before := folders(t)
	script := `echo "$PHONEBILL_TEST_DATABASE_URL|$PHONEBILL_TEST_VALKEY_ADDR|$PHONEBILL_TEST_VALKEY_PASSWORD"`
	code, out, err := ours(t, "sh", "-c", script)
	require.NoError(t, err)
	require.Zero(t, code)
	parts := strings.Split(strings.TrimSpace(out), "|")
	require.Len(t, parts, 3)
	require.Contains(t, parts[0], "postgres://postgres:")
	require.Contains(t, parts[1], "127.0.0.1:")
	require.NotEmpty(t, parts[2])
	require.Subset(t, before, folders(t), "our folder is removed")

	interrupted := make(chan os.Signal, 1)
	interrupted <- syscall.SIGINT
	code, err = run(t.Context(), interrupted, []string{"true"}, &bytes.Buffer{}, &bytes.Buffer{})
	require.ErrorContains(t, err, "interrupted")
	require.Equal(t, 1, code)
	require.Subset(t, before, folders(t))
}

func folders(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, base := range []string{"/dev/shm", os.TempDir()} {
		found, err := filepath.Glob(filepath.Join(base, prefix+"*"))
		require.NoError(t, err)
		all = append(all, found...)
	}
	return all
}

func TestSweepRemovesWhatNobodyHolds(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	lock := func(name string, age time.Duration) string {
		file := filepath.Join(base, prefix+name, "postgres", "lock")
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o750))
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.NoError(t, os.Chtimes(file, time.Time{}, time.Now().Add(-age)))
		return file
	}
	left, fresh, held := lock("left", time.Hour), lock("fresh", 0), lock("held", time.Hour)
	holder, err := os.Open(held)
	require.NoError(t, err)
	defer func() { _ = holder.Close() }()
	require.NoError(t, syscall.Flock(int(holder.Fd()), syscall.LOCK_EX))
	sweep(base)
	require.NoFileExists(t, left)
	require.FileExists(t, fresh)
	require.FileExists(t, held)
}
