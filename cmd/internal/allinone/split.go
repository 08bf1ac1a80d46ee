package allinone

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"phonebill/cmd/internal/boot"
)

// RunSplit is Run with each part as a process of its own, from the binaries beside this one, as they are deployed.
// Addresses must have ports.
func RunSplit(ctx context.Context, env boot.Env, out io.Writer, log *slog.Logger) error {
	return run(ctx, env, out, log, func(s *system) runner { return &processes{system: s} })
}

// processes runs each part as a child.
type processes struct {
	*system
	children []*child
}

type child struct {
	name, path, log string
	env             []string
	ready, stopping atomic.Bool
	done            chan struct{} // closed when it has ended for good
	mu              sync.Mutex
	cmd             *exec.Cmd
}

func (p *processes) start(ctx context.Context) error {
	via, err := p.identity.Via(p.tools.Now())
	if err != nil {
		return err
	}
	client := &http.Client{Transport: via, Timeout: readyTimeout}
	env := boot.Env(os.Getenv).With(p.given, defaults(p.dir))
	for _, part := range p.parts() {
		at, err := part.listeners(env.With(part.own, nil))
		if err != nil {
			return fmt.Errorf("configure %s: %w", part.name, err)
		}
		if err := p.spawn(ctx, part.name, needed(part.variables, env.With(part.own, nil))); err != nil {
			return err
		}
		where := site{"http://" + at.Addr, "http://" + at.Internal}
		path := "/health"
		if !strings.HasSuffix(part.name, "-simulator") {
			path = "/readyz"
			if p.TLS {
				where = site{"https://" + at.Addr, "https://" + at.Internal}
			}
		}
		if err := p.await(ctx, client, part.name, where.internal+path); err != nil {
			return err
		}
		p.runs(part, where)
		p.children[len(p.children)-1].ready.Store(true)
	}
	return nil
}

// harmless are variables that every process gets beside its own: they hold no secrets.
var harmless = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "GOMAXPROCS", "GOMEMLIMIT", "GODEBUG", "GORACE", "GOCOVERDIR",
}

// needed returns the environment of a process: the variables that it reads and no others. So each gets the secrets that
// it needs and no others.
func needed(variables []boot.Variable, env boot.Env) []string {
	keys := slices.Clone(harmless)
	for _, v := range variables {
		keys = append(keys, v.Name)
	}
	var all []string
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		if value := env(key); value != "" {
			all = append(all, key+"="+value)
		}
	}
	return all
}

// restarts is how often a child that ends by itself is started again before everything is given up.
const restarts = 20

// spawn starts a binary that lies beside ours and starts it again when it ends by itself after it was ready once. It
// dies with us, however we die (where the system can do that).
func (p *processes) spawn(ctx context.Context, name string, env []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, path: filepath.Join(filepath.Dir(self), name), env: env, log: filepath.Join(p.dir, LogFile)}
	first := make(chan error, 1)
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		runtime.LockOSThread() // a parent-death signal fires when the starting thread ends
		if err := c.start(); err != nil {
			first <- err
			return
		}
		first <- nil
		for try := range restarts {
			_ = c.cmd.Wait()
			if c.stopping.Load() {
				return
			}
			if !c.ready.Load() {
				break
			}
			p.tools.Log.ErrorContext(ctx, "a process ended by itself and is started again", "process", name,
				"try", try+1)
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(time.Duration(try+1)*250*time.Millisecond, 5*time.Second)):
			}
			if c.start() != nil {
				break
			}
		}
		select {
		case p.broken <- fmt.Errorf("%s does not stay up; see %s", name, c.log):
		default:
		}
	}()
	if err := <-first; err != nil {
		return fmt.Errorf("start %s: %w (make build first)", name, err)
	}
	p.children = append(p.children, c)
	return nil
}

// start starts the process once.
func (c *child) start() error {
	log, err := os.OpenFile(c.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own copy
	cmd := exec.Command(c.path)        //nolint:noctx // it lives until stop
	cmd.Env = c.env
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, tied()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cmd = cmd
	return cmd.Start()
}

// signal reaches the process that runs now.
func (c *child) signal(sig os.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.cmd.Process.Signal(sig)
}

// await waits until the process is ready, as it says at the URL.
func (p *processes) await(ctx context.Context, client *http.Client, name, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not get ready", name)
		case err := <-p.broken:
			return err
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// stop ends the children, the last started first.
func (p *processes) stop() error {
	for _, c := range slices.Backward(p.children) {
		c.stopping.Store(true)
		c.signal(syscall.SIGTERM)
		select {
		case <-c.done:
		case <-time.After(15 * time.Second):
			c.signal(os.Kill)
			<-c.done
		}
	}
	return nil
}
