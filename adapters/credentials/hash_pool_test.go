package credentials

import (
	"bytes"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/ports"
	"phonebill/ports/portstest"
)

var _ ports.PasswordHasher = (*HashPool)(nil)

// TestMain is the worker too: the pool starts this very binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == WorkerArgument {
		BeWorker()
		if Work(os.Stdin, os.Stdout) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *lines) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func pool(t *testing.T, command ...string) (*HashPool, *lines) {
	t.Helper()
	log := &lines{}
	p := NewHashPool(quick, command, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(p.Close)
	return p, log
}

func workers(t *testing.T) (*HashPool, *lines) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return pool(t, self, WorkerArgument)
}

func TestSuite(t *testing.T) {
	t.Parallel()
	portstest.PasswordHasher(t, NewHasher(quick))
	p, _ := workers(t)
	portstest.PasswordHasher(t, p)
	require.NotNil(t, p.worker)
	none, _ := pool(t)
	portstest.PasswordHasher(t, none)
}

func TestBothMakeTheSameHashes(t *testing.T) {
	t.Parallel()
	p, _ := workers(t)
	hash, err := p.Hash(t.Context(), secret("correct-horse"))
	require.NoError(t, err)
	ok, _, err := NewHasher(quick).Matches(t.Context(), hash, secret("correct-horse"))
	require.NoError(t, err)
	require.True(t, ok)
	manyAtOnce(t, p)
}

func TestTheWorkerIsOfLowPriorityAndDiesWithUs(t *testing.T) {
	t.Parallel()
	p, _ := workers(t)
	_, err := p.Hash(t.Context(), secret("x"))
	require.NoError(t, err)
	w := p.worker
	if tasks, err := os.ReadDir("/proc/self/task"); err == nil && len(tasks) > 0 {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(w.process.PID()) + "/stat")
		require.NoError(t, err)
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+2:]))
		require.NotEqual(t, "0", fields[16], "nice, field 19 of proc(5)")
	}
	p.Close()
	<-w.process.Done()
	require.NoError(t, w.process.Err(), "it ends by itself")
	_, err = p.Hash(t.Context(), secret("x"))
	require.NoError(t, err, "without a worker")
	<-w.gone
	require.False(t, p.worker.alive())
}

func TestAWorkerThatDiesIsReplaced(t *testing.T) {
	t.Parallel()
	p, log := workers(t)
	_, err := p.Hash(t.Context(), secret("x"))
	require.NoError(t, err)
	first := p.worker
	require.NoError(t, syscall.Kill(first.process.PID(), syscall.SIGKILL))
	<-first.gone
	_, ok := first.ask(job{})
	require.False(t, ok)
	require.Eventually(t, func() bool {
		_, err := p.Hash(t.Context(), secret("x")) // in this process meanwhile
		require.NoError(t, err)
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.worker != nil && p.worker != first
	}, 20*time.Second, 50*time.Millisecond)
	require.Contains(t, log.String(), "started again")
}

func TestWithoutAWorkerHashesAreMadeInProcess(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"/nonexistent", "/bin/false", "/bin/cat"} {
		p, log := pool(t, command)
		if command == "/bin/cat" { // talks nonsense
			require.NotNil(t, p.current())
		}
		hash, err := p.Hash(t.Context(), secret("x"))
		require.NoError(t, err)
		ok, _, err := p.Matches(t.Context(), hash, secret("x"))
		require.NoError(t, err)
		require.True(t, ok)
		if command == "/nonexistent" {
			require.Contains(t, log.String(), "no hash worker")
		}
	}
}

func TestWorkRefusesNonsense(t *testing.T) {
	t.Parallel()
	require.NoError(t, Work(strings.NewReader(""), &bytes.Buffer{}))
	require.Error(t, Work(strings.NewReader("nonsense"), &bytes.Buffer{}))
}
