package devservers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain lets tests start this program again as a parent that they can kill: see TestKilledParentLeavesNoOrphan and
// TestKilledParentLeavesNoPostgreSQL.
func TestMain(m *testing.M) {
	switch dir := os.Getenv("PGSERVER_TEST_PARENT_OF"); {
	case os.Getenv("CACHESERVER_TEST_PARENT") != "":
		s, err := StartCache(context.Background(), CacheOptions{})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.Addr())
		select {}
	case dir != "":
		s, err := StartPostgreSQL(context.Background(), PostgreSQLOptions{Dir: dir, Durable: true})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.PID(), s.AdminURL())
		select {}
	}
	os.Exit(m.Run())
}

func startCache(t *testing.T, o CacheOptions) *Cache {
	t.Helper()
	if find() == "" && !o.AllowMini && os.Getenv("PHONEBILL_TEST_REQUIRED") != "1" {
		t.Skip(ErrNoBinary)
	}
	s, err := StartCache(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

func talk(t *testing.T, s *Cache, password string, commands ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	text := encode("AUTH", password)
	for _, command := range commands {
		text += encode(strings.Fields(command)...)
	}
	_, err = io.WriteString(conn, text+encode("QUIT"))
	require.NoError(t, err)
	var out bytes.Buffer
	_, _ = out.ReadFrom(conn) // the server closes the connection after QUIT
	return out.String()
}

func TestServerIsPrivateAndKeepsNothing(t *testing.T) {
	t.Parallel()
	s := startCache(t, CacheOptions{})
	require.Regexp(t, `^(valkey|redis)-server \d+\.\d+`, s.Kind())
	require.Empty(t, s.Notice())
	require.Contains(t, s.Addr(), "127.0.0.1:")
	require.Contains(t, talk(t, s, "guess", "GET x"), "WRONGPASS")
	require.Contains(t, talk(t, s, "guess", "GET x"), "NOAUTH")
	answers := talk(t, s, s.Password(), "CONFIG GET maxmemory-policy", "CONFIG GET maxmemory", "CONFIG GET save",
		"CONFIG GET appendonly", "CONFIG GET bind")
	for _, want := range []string{"volatile-lru", "268435456", "127.0.0.1"} {
		require.Contains(t, answers, want)
	}
	require.Contains(t, answers, "save\r\n$0\r\n", "no snapshots")
	require.Contains(t, answers, "appendonly\r\n$2\r\nno", "no log")
}

func TestPasswordIsNotInTheProcessList(t *testing.T) {
	t.Parallel()
	s := startCache(t, CacheOptions{})
	lists, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range lists {
		line, err := os.ReadFile(file)
		if err == nil { // processes come and go
			require.NotContains(t, string(line), s.Password())
		}
	}
}

func TestStopEndsTheServer(t *testing.T) {
	t.Parallel()
	s := startCache(t, CacheOptions{MaxMemory: "8mb"})
	require.Contains(t, talk(t, s, s.Password(), "CONFIG GET maxmemory"), "8388608")
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.Stop(t.Context()), "a second stop does nothing")
	<-s.Done()
	require.Error(t, s.ping(t.Context()))
}

func TestKilledParentLeavesNoOrphan(t *testing.T) {
	t.Parallel()
	startCache(t, CacheOptions{}) // skips without a binary
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), "CACHESERVER_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, line)
	addr := strings.TrimSpace(line)
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	require.NoError(t, parent.Process.Signal(syscall.SIGKILL))
	_ = parent.Wait()
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("only Linux ends the children of a killed process")
	}
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 10*time.Second, 10*time.Millisecond)
}

func TestMiniredisRunsOnlyWhenAllowed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if find() != "" {
		// The binary may be installed outside of PATH too, so miniredis is started directly.
		s, err := startMini()
		require.NoError(t, err)
		checkMini(t, s)
		return
	}
	_, err := StartCache(t.Context(), CacheOptions{})
	require.ErrorIs(t, err, ErrNoBinary)
	checkMini(t, startCache(t, CacheOptions{AllowMini: true}))
}

func checkMini(t *testing.T, s *Cache) {
	t.Helper()
	require.NoError(t, s.ping(t.Context()))
	require.Equal(t, "miniredis (in-process)", s.Kind())
	require.NotEmpty(t, s.Notice())
	require.Contains(t, talk(t, s, "guess", "GET x"), "NOAUTH")
	require.Contains(t, talk(t, s, s.Password(), "SET k v PX 300", "GET k"), "$1\r\nv")
	require.Eventually(t, func() bool { return strings.Contains(talk(t, s, s.Password(), "GET k"), "$-1") },
		10*time.Second, 20*time.Millisecond, "keys expire by themselves")
	require.NoError(t, s.Stop(t.Context()))
	<-s.Done()
}

// program makes an executable script that prints the text for --version and else runs body.
func program(t *testing.T, version, body string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cacheserver-test-") // not t.TempDir: as root the script runs as another user
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "server")
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = --version ]; then echo '%s'; exit 0; fi\n%s\n", version, body)
	require.NoError(t, os.WriteFile(file, []byte(script), 0o755))
	return file
}

func TestFailuresAreReadable(t *testing.T) {
	t.Parallel()
	_, err := StartCache(t.Context(), CacheOptions{Binary: "/none/there"})
	require.ErrorContains(t, err, "/none/there")
	_, err = StartCache(t.Context(), CacheOptions{Binary: program(t, "hello", "")})
	require.ErrorContains(t, err, "no cache server")
	_, err = StartCache(t.Context(), CacheOptions{Binary: program(t, "Valkey server v=8.0.1 sha=0", "exit 1")})
	require.ErrorIs(t, err, errEnded)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = StartCache(ctx, CacheOptions{Binary: program(t, "Valkey server v=8.0.1 sha=0", "exec sleep 60")})
	require.ErrorContains(t, err, "does not answer")
}

func TestKindTellsValkeyFromRedis(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]string{
		"Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc": "valkey-server 8.0.1",
		"Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc": "redis-server 7.0.15",
	} {
		kind, err := kindOf(t.Context(), program(t, out, ""))
		require.NoError(t, err)
		require.Equal(t, want, kind)
	}
}
