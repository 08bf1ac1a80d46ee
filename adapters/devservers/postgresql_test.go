package devservers

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/internal/child"
)

// folder returns a temporary one; without PostgreSQL the test is skipped.
func folder(t *testing.T) string {
	t.Helper()
	if _, err := FindBinaries(); err != nil && os.Getenv("PHONEBILL_TEST_REQUIRED") != "1" {
		t.Skipf("%v", err)
	}
	dir, err := TempDir("pgserver-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func startPostgreSQL(t *testing.T, o PostgreSQLOptions) *PostgreSQL {
	t.Helper()
	s, err := StartPostgreSQL(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

func exec1(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func ask(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	var answer string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&answer))
	return answer
}

func TestSecondStartKeepsDataAndPassword(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "a", "postgres")
	first := startPostgreSQL(t, PostgreSQLOptions{Dir: dir, Durable: true, MaxConnections: 33})
	require.Equal(t, dir, first.Dir())
	require.Empty(t, first.Notice())
	exec1(t, first.AdminURL(), "CREATE TABLE kept AS SELECT 'yes' AS v")
	require.Equal(t, "33", ask(t, first.AdminURL(), "SHOW max_connections"))
	require.Equal(t, "on", ask(t, first.AdminURL(), "SHOW fsync"))
	require.Equal(t, "127.0.0.1", ask(t, first.AdminURL(), "SHOW listen_addresses"))
	require.Equal(t, "UTC", ask(t, first.AdminURL(), "SHOW timezone"))
	require.NoError(t, first.Stop(t.Context()))
	require.NoError(t, first.Stop(t.Context()), "a second stop does nothing")
	<-first.Done()

	second := startPostgreSQL(t, PostgreSQLOptions{Dir: dir})
	require.Equal(t, "yes", ask(t, second.AdminURL(), "SELECT v FROM kept"))
	require.Equal(t, "off", ask(t, second.AdminURL(), "SHOW fsync"))
	require.Equal(t, first.password, second.password)
}

func TestPasswordIsPrivateAndDemanded(t *testing.T) {
	t.Parallel()
	s := startPostgreSQL(t, PostgreSQLOptions{Dir: folder(t)})
	info, err := os.Stat(filepath.Join(s.Dir(), "password"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = pgx.Connect(t.Context(), strings.Replace(s.AdminURL(), s.password, "guess", 1))
	require.ErrorContains(t, err, "password authentication failed")
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.PID())); err == nil {
		require.NotContains(t, string(line), s.password)
	}
	require.NotEqual(t, syscall.Getpgrp(), pgid(t, s.PID()), "Ctrl-C at the terminal must not reach the server")
}

func pgid(t *testing.T, pid int) int {
	t.Helper()
	id, err := syscall.Getpgid(pid)
	require.NoError(t, err)
	return id
}

func TestFolderIsLockedByOneServer(t *testing.T) {
	t.Parallel()
	s := startPostgreSQL(t, PostgreSQLOptions{Dir: folder(t)})
	_, err := StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: s.Dir()})
	require.ErrorIs(t, err, ErrInUse)
	require.Equal(t, "1", ask(t, s.AdminURL(), "SELECT '1'"), "the first one lives on")
}

// TestKilledParentLeavesNoPostgreSQL kills a process that started a server with SIGKILL, at once starts another one on
// the same folder, and finds what was committed.
func TestKilledParentLeavesNoPostgreSQL(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), "PGSERVER_TEST_PARENT_OF="+dir)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, line)
	pidText, url, ok := strings.Cut(strings.TrimSpace(line), " ")
	require.True(t, ok, line)
	pid, err := strconv.Atoi(pidText)
	require.NoError(t, err)
	exec1(t, url, "CREATE TABLE committed AS SELECT 'yes' AS v")

	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	next := startPostgreSQL(t, PostgreSQLOptions{Dir: dir, Durable: true})
	require.False(t, isPostmaster(t.Context(), pid, filepath.Join(dir, "data")), "the old server is gone")
	require.Equal(t, "yes", ask(t, next.AdminURL(), "SELECT v FROM committed"))
}

// TestLeftoverPostmasterIsStopped is the case of systems without a death signal: a postmaster runs on the data, and the
// folder's lock is free.
func TestLeftoverPostmasterIsStopped(t *testing.T) {
	t.Parallel()
	s := startPostgreSQL(t, PostgreSQLOptions{Dir: folder(t)})
	require.NoError(t, s.Stop(t.Context()))
	bin, err := FindBinaries()
	require.NoError(t, err)
	port, err := child.FreePort(t.Context())
	require.NoError(t, err)
	cmd := s.home.command(context.Background(), filepath.Join(bin, "postgres"),
		settings(s.home.data(), port, PostgreSQLOptions{})...)
	orphan, err := child.Start(cmd, s.home.cred, 0)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		pid, err := readPID(filepath.Join(s.home.data(), "postmaster.pid"))
		return err == nil && pid == orphan.PID()
	}, 20*time.Second, 10*time.Millisecond)

	startPostgreSQL(t, PostgreSQLOptions{Dir: s.Dir()})
	<-orphan.Done()
}

func TestStalePIDFileOfAnotherProcessIsIgnored(t *testing.T) {
	t.Parallel()
	s := startPostgreSQL(t, PostgreSQLOptions{Dir: folder(t)})
	require.NoError(t, s.Stop(t.Context()))
	stale := filepath.Join(s.home.data(), "postmaster.pid")
	// A living process that is not postgres (this test's parent), as after a restart of the machine.
	text := fmt.Sprintf("%d\n%s\n1\n1\n\n127.0.0.1\n0 0\nready\n", os.Getppid(), s.home.data())
	require.NoError(t, os.WriteFile(stale, []byte(text), 0o600))
	require.NoError(t, s.home.give(stale))
	startPostgreSQL(t, PostgreSQLOptions{Dir: s.Dir()})
}

func TestLogTakesTheServersOutput(t *testing.T) {
	t.Parallel()
	log := &tail{}
	startPostgreSQL(t, PostgreSQLOptions{Dir: folder(t), Log: log})
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "ready to accept connections") },
		10*time.Second, 10*time.Millisecond)
}

func TestFailuresOfPostgreSQLAreReadable(t *testing.T) {
	t.Parallel()
	t.Run("password file lost", func(t *testing.T) {
		t.Parallel()
		s := startPostgreSQL(t, PostgreSQLOptions{Dir: folder(t)})
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, os.Remove(s.home.passwordFile()))
		_, err := StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: s.Dir()})
		require.ErrorContains(t, err, "is gone, but the data")
	})
	t.Run("password file changed", func(t *testing.T) {
		t.Parallel()
		s := startPostgreSQL(t, PostgreSQLOptions{Dir: folder(t)})
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, os.WriteFile(s.home.passwordFile(), []byte("other"), 0o600))
		_, err := StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: s.Dir()})
		require.ErrorContains(t, err, "does not know the password")
		_, err = os.Stat(filepath.Join(s.home.data(), "postmaster.pid"))
		require.ErrorIs(t, err, os.ErrNotExist, "the server that was started is stopped again")
	})
	t.Run("server refuses to start", func(t *testing.T) {
		t.Parallel()
		s := startPostgreSQL(t, PostgreSQLOptions{Dir: folder(t)})
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t,
			os.WriteFile(filepath.Join(s.home.data(), "postgresql.auto.conf"), []byte("no_such_setting = 1\n"), 0o600))
		_, err := StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: s.Dir()})
		require.ErrorContains(t, err, "no_such_setting", "the server's own words are in the error")
	})
	t.Run("data of another version", func(t *testing.T) {
		t.Parallel()
		dir := folder(t)
		require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600))
		_, err := StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: dir})
		require.ErrorIs(t, err, errOtherVersion)
	})
	t.Run("unreadable version", func(t *testing.T) {
		t.Parallel()
		dir := folder(t)
		require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("x\n"), 0o600))
		_, err := StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: dir})
		require.ErrorContains(t, err, "PG_VERSION")
	})
	t.Run("the folder is a file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(folder(t), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: file})
		require.ErrorContains(t, err, "data folder")
		_, err = StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: filepath.Join(file, "below", "it")})
		require.ErrorContains(t, err, "data folder")
	})
	t.Run("start given up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := StartPostgreSQL(ctx, PostgreSQLOptions{Dir: folder(t)})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestRootFallsBackWhereItsUserCannotEnter is the case of a clone below /root.
func TestRootFallsBackWhereItsUserCannotEnter(t *testing.T) {
	t.Parallel()
	base := folder(t)
	closed := filepath.Join(base, "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	bin, err := FindBinaries()
	require.NoError(t, err)
	cred, err := child.Unprivileged("postgres", "nobody")
	require.NoError(t, err)
	wanted := filepath.Join(closed, "data")
	h, err := openHome(t.Context(), wanted, bin, cred, filepath.Join(base, "fallback"))
	require.NoError(t, err)
	defer h.release()
	if cred == nil {
		require.Equal(t, wanted, h.dir, "not root: our own folder is fine")
		return
	}
	require.Equal(t, filepath.Join(base, "fallback"), filepath.Dir(h.dir))
	require.Contains(t, h.notice, h.dir)
	require.Contains(t, h.notice, wanted)
	require.NoError(t, canRun(t.Context(), bin, h.dir, cred))

	again, err := openHome(t.Context(), wanted, bin, cred, filepath.Join(base, "fallback"))
	require.ErrorIs(t, err, ErrInUse, "the same folder leads to the same place")
	require.Equal(t, h.dir, again.dir)
}

func TestRootDoesNotTakeOverAForeignFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if os.Geteuid() != 0 {
		require.NoError(t, os.Chmod(dir, 0o500))
		_, err := StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: dir})
		require.ErrorContains(t, err, "belongs to another user")
		return
	}
	require.NoError(t, os.Chown(dir, 12345, 12345))
	_, err := StartPostgreSQL(t.Context(), PostgreSQLOptions{Dir: dir})
	require.ErrorContains(t, err, "belongs to uid 12345")
}
