package devservers

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"

	"phonebill/adapters/internal/child"
)

// ErrNoBinary means that neither valkey-server nor redis-server is installed.
var ErrNoBinary = errors.New("neither valkey-server nor redis-server is installed: run scripts/deps.sh")

// CacheOptions of Start; the zero value is a real server, or ErrNoBinary.
type CacheOptions struct {
	AllowMini bool   // without a binary run miniredis in this process: for a first look, not for tests or load
	MaxMemory string // default 256mb
	// path of the server program; default: valkey-server, else redis-server, in PATH and the usual places
	Binary string
	Log    io.Writer // the server's log (warnings and worse); default: none
}

// Cache is a running cache. Its methods may be called from many goroutines.
type Cache struct {
	addr, password, kind, notice string
	done                         <-chan struct{}
	stop                         func(context.Context) error
	once                         sync.Once
	stopErr                      error
}

const (
	cacheAttempts     = 5 // starts tried: another process may take the port meanwhile
	cacheStartTimeout = 10 * time.Second
	grace             = 5 * time.Second
)

// StartCache starts the cache and waits until it answers. The context limits the start, not the server's life.
func StartCache(ctx context.Context, o CacheOptions) (*Cache, error) {
	ctx, cancel := context.WithTimeout(ctx, cacheStartTimeout)
	defer cancel()
	binary := o.Binary
	if binary == "" {
		binary = find()
	}
	if binary == "" {
		if o.AllowMini {
			return startMini()
		}
		return nil, ErrNoBinary
	}
	kind, err := kindOf(ctx, binary)
	if err != nil {
		return nil, err
	}
	// Root may run a cache, but a cache that can write files need not be root.
	cred, err := child.Unprivileged("nobody")
	if err != nil {
		return nil, err
	}
	s, err := launch(ctx, binary, cred, o, rand.Text(), nil)
	if err != nil {
		return nil, err
	}
	s.kind = kind
	return s, nil
}

// find searches PATH and where packages put server programs that a plain user's PATH may lack. It returns "" when there
// is none.
func find() string {
	for _, name := range []string{"valkey-server", "redis-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		for _, dir := range []string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"} {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path
			}
		}
	}
	return ""
}

var versionOf = regexp.MustCompile(`v=([0-9.]+)`)

// kindOf asks the binary what it is: its name may be a link.
func kindOf(ctx context.Context, binary string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", binary, err)
	}
	version := versionOf.FindSubmatch(out)
	if version == nil {
		return "", fmt.Errorf("%s is no cache server: --version says %q", binary, out)
	}
	name := "redis-server"
	if strings.Contains(strings.ToLower(string(out)), "valkey") {
		name = "valkey-server"
	}
	return name + " " + string(version[1]), nil
}

// config is the server's standard input: the password is neither on a command line nor in a file.
//
// maxmemory-policy: every key has a TTL, and a lost key costs one read of the store (docs/cache.md). volatile-ttl would
// evict what expires soonest: sessions (30 min) before bills that were not used for days. volatile-lru evicts just
// those: their last good copy is in PostgreSQL (ADR 23).
func config(port int, password string, o CacheOptions, more []string) string {
	if o.MaxMemory == "" {
		o.MaxMemory = "256mb"
	}
	return strings.Join(append([]string{
		"bind 127.0.0.1",
		"port " + strconv.Itoa(port),
		"requirepass " + password,
		`save ""`,
		"appendonly no",
		"maxmemory " + o.MaxMemory,
		"maxmemory-policy volatile-lru",
		"loglevel warning",
		"dir " + strconv.Quote(os.TempDir()),
	}, more...), "\n") + "\n"
}

var errEnded = errors.New("the cache server ended while starting")

// launch starts a server, several times if need be. more returns lines of its configuration that are new in each
// attempt; it may be nil.
func launch(
	ctx context.Context, binary string, cred *syscall.Credential, o CacheOptions, password string,
	more func(context.Context) ([]string, error),
) (*Cache, error) {
	for range cacheAttempts {
		s, err := try(ctx, binary, cred, o, password, more)
		if err == nil || ctx.Err() != nil || !errors.Is(err, errEnded) {
			return s, err
		}
	}
	return nil, fmt.Errorf("%s did not start in %d attempts: %w", binary, cacheAttempts, errEnded)
}

func try(
	ctx context.Context, binary string, cred *syscall.Credential, o CacheOptions, password string,
	more func(context.Context) ([]string, error),
) (*Cache, error) {
	port, err := child.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	var lines []string
	if more != nil {
		if lines, err = more(ctx); err != nil {
			return nil, err
		}
	}
	// Not CommandContext: the server outlives the context of its start.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, "-")
	cmd.Dir, cmd.Env = os.TempDir(), child.Env()
	cmd.Stdin = strings.NewReader(config(port, password, o, lines))
	cmd.Stdout, cmd.Stderr = o.Log, o.Log
	process, err := child.Start(cmd, cred, syscall.SIGKILL) // nothing of it is worth saving
	if err != nil {
		return nil, err
	}
	s := &Cache{
		addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), password: password, done: process.Done(),
		stop: func(ctx context.Context) error { return process.Stop(ctx, grace, syscall.SIGTERM) },
	}
	if err := s.await(ctx); err != nil {
		_ = process.Stop(context.WithoutCancel(ctx), grace, syscall.SIGTERM)
		return nil, err
	}
	return s, nil
}

func (s *Cache) await(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("the cache server does not answer: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// encode writes a command as the protocol's array of strings; miniredis takes no inline commands.
func encode(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b.String()
}

func (s *Cache) ping(ctx context.Context) error {
	answer, err := s.do(ctx, "PING")
	if err == nil && answer != "+PONG" {
		err = fmt.Errorf("cache: unexpected answer %q", answer)
	}
	return err
}

// do runs one command on a connection of its own, without a client library. It returns a line with its kind before it,
// or a text of several lines.
func (s *Cache) do(ctx context.Context, words ...string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(conn, encode("AUTH", s.password)+encode(words...)); err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	in := bufio.NewReader(conn)
	if answer, err := answered(in); err != nil || answer != "+OK" {
		return "", fmt.Errorf("cache: unexpected answer %q: %w", answer, err)
	}
	return answered(in)
}

func answered(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	line = strings.TrimSpace(line)
	size, ok := strings.CutPrefix(line, "$")
	if !ok {
		return line, nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 {
		return "", fmt.Errorf("cache: unexpected answer %q", line)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	return string(text), nil
}

// Addr is host:port.
func (s *Cache) Addr() string { return s.addr }

// Password is that of the default user; never log it.
func (s *Cache) Password() string { return s.password }

// Kind is the running program, for instance "valkey-server 8.0.1" or "miniredis (in-process)".
func (s *Cache) Kind() string { return s.kind }

// Notice is a sentence for the user when the cache is not a real server, else "".
func (s *Cache) Notice() string { return s.notice }

// Done is closed when the server has ended, asked to or not.
func (s *Cache) Done() <-chan struct{} { return s.done }

// Stop ends the server and waits for it; after 5 s or when ctx ends it kills it. Further calls do nothing.
func (s *Cache) Stop(ctx context.Context) error {
	s.once.Do(func() { s.stopErr = s.stop(ctx) })
	return s.stopErr
}

// clockStep is the precision of expiry in miniredis, whose clock stands still unless it is moved.
const clockStep = 100 * time.Millisecond

// startMini runs miniredis in this process. Clients must use RESP2 without client-side caching; memory is not bounded.
func startMini() (*Cache, error) {
	mini := miniredis.NewMiniRedis()
	password := rand.Text()
	mini.RequireAuth(password)
	if err := mini.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("miniredis: %w", err)
	}
	done := make(chan struct{})
	quit := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(clockStep)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				mini.FastForward(clockStep)
			case <-quit:
				mini.Close()
				return
			}
		}
	}()
	return &Cache{
		addr: mini.Addr(), password: password, kind: "miniredis (in-process)", done: done,
		notice: "no valkey-server or redis-server here: the cache runs in this process (miniredis), fine for a look " +
			"around, not for load",
		stop: func(context.Context) error {
			close(quit)
			<-done
			return nil
		},
	}, nil
}
