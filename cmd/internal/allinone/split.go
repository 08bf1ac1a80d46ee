package allinone

import (
	"cmp"
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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose"
	"phonebill/cmd/internal/demo"
	"phonebill/migrations"
)

// RunSplit is Run with each simulator, service and gateway as a process of its own, from the binaries beside this one, as they
// are deployed. Addresses must have ports.
func RunSplit(ctx context.Context, env boot.Env, out io.Writer, log *slog.Logger) error {
	return run(ctx, env, out, log, func(s *system) parts { return &processes{system: s} })
}

// processes are the children of the split system.
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
	if err := p.seed(ctx); err != nil {
		return err
	}
	given := []string{
		"KEYRING_FILE=" + p.ground.Keyring, "VALKEY_ADDR=" + p.ground.Cache.Addr,
		"VALKEY_PASSWORD=" + p.ground.Cache.Password.Reveal(), "VALKEY_MINI=" + strconv.FormatBool(p.ground.Cache.Mini),
		"VALKEY_CLUSTER=" + strconv.FormatBool(p.ground.Cache.Cluster),
		"AUTH_DATABASE_URL=" + p.ground.Access.AppURL(migrations.Auth), "BILL_DATABASE_URL=" + p.ground.Access.AppURL(migrations.Bill),
		"PRODUCT_DATABASE_URL=" + p.ground.Access.AppURL(migrations.Product), "KOS_DATABASE_URL=" + p.ground.Access.AppURL(migrations.KOS),
		"KOS_TOKEN=" + p.kosToken, "MVNOAP_SECRET=" + p.apSecret, "KOS_URL=http://" + p.kos.Addr, "MVNOAP_URL=http://" + p.ap.Addr,
		"AUTH_URL=http://" + p.auth.Addr, "AUTH_INTERNAL_URL=http://" + p.auth.Internal,
		"INTERNAL_TOKEN=" + p.token.Reveal(), "BILL_URL=http://" + p.bill.Addr, "PRODUCT_URL=http://" + p.product.Addr,
		"BILL_INTERNAL_URLS=http://" + p.bill.Internal, "PRODUCT_INTERNAL_URLS=http://" + p.product.Internal,
		"PREFETCH_NIGHT=" + cmp.Or(os.Getenv("PREFETCH_NIGHT"), "off"), "BOOKS_AT=" + cmp.Or(os.Getenv("BOOKS_AT"), "off"),
		"AUTH_COOKIE_SECURE=" + strconv.FormatBool(!p.login.PlainCookies),
	}
	auditing := "GATEWAY_AUDIT_TOKEN=" + p.auditing.Reveal()
	for _, part := range []struct {
		name, ready string
		reads       func(boot.Env) error
		env         []string
	}{
		{"kos-simulator", p.kos.Internal, reads(compose.ReadKOSSim), []string{"STATE_DIR=" + filepath.Join(p.dir, "kos")}},
		{"mvnoap-simulator", p.ap.Internal, reads(compose.ReadAPSim), []string{"STATE_DIR=" + filepath.Join(p.dir, "mvnoap")}},
		{"auth", p.auth.Internal, reads(compose.ReadAuth), []string{auditing}},
		{"bill-inquiry", p.bill.Internal, reads(compose.ReadBill), []string{"SPOOL_DIR=" + p.history.SpoolDir}},
		{"product-change", p.product.Internal, reads(compose.ReadProduct), nil},
		{"gateway", p.gateway.Internal, reads(compose.ReadGateway), []string{auditing}},
	} {
		env, err := needed(part.reads, slices.Concat(given, part.env))
		if err != nil {
			return fmt.Errorf("configure %s: %w", part.name, err)
		}
		if err := p.spawn(ctx, part.name, env); err != nil {
			return err
		}
		if err := p.await(ctx, part.name, part.ready); err != nil {
			return err
		}
		p.children[len(p.children)-1].ready.Store(true)
	}
	origin := func(l compose.Listen) demo.Simulator {
		return demo.Simulator{URL: "http://" + l.Addr, Control: "http://" + l.Internal}
	}
	metrics := func(l compose.Listen) string { return "http://" + l.Internal + "/metrics" }
	p.file = demo.File{
		BaseURL:  "http://" + p.gateway.Addr,
		Services: map[string]string{"auth": "http://" + p.auth.Addr, "bill": "http://" + p.bill.Addr, "product": "http://" + p.product.Addr},
		Metrics: map[string]string{
			"gateway": metrics(p.gateway), "auth": metrics(p.auth), "bill": metrics(p.bill), "product": metrics(p.product),
			"kos": metrics(p.kos),
		},
		KOS: origin(p.kos), MVNOAP: origin(p.ap),
	}
	return nil
}

func reads[C any](read func(boot.Env) (C, error)) func(boot.Env) error {
	return func(env boot.Env) error {
		_, err := read(env)
		return err
	}
}

// harmless are variables that every process gets: they hold no secrets.
var harmless = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GODEBUG", "GORACE", "GOCOVERDIR",
	"LOG_LEVEL", "LOG_FORMAT", boot.CPUProfile, boot.Environment, boot.HashWorker,
}

// needed returns the environment of a process: of what is given to all and of our own environment, the variables that the process reads.
// So each gets the secrets that it needs and no others.
func needed(read func(boot.Env) error, given []string) ([]string, error) {
	all := map[string]string{}
	for _, pair := range slices.Concat(os.Environ(), given) {
		key, value, _ := strings.Cut(pair, "=")
		all[key] = value
	}
	keys, err := boot.Env(func(key string) string { return all[key] }).Keys(read)
	if err != nil {
		return nil, err
	}
	var env []string
	for _, key := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(keys, harmless)))) {
		if value, set := all[key]; set {
			env = append(env, key+"="+value)
		}
	}
	return env, nil
}

// restarts is how often a child that ends by itself is started again before everything is given up.
const restarts = 20

// spawn starts a binary that lies beside ours and starts it again when it ends by itself after it was ready once. It dies with us,
// however we die (where the system can do that).
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

func (p *processes) await(ctx context.Context, name, internal string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	path := "/readyz"
	if strings.HasSuffix(name, "-simulator") {
		path = "/health"
	}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+internal+path, http.NoBody)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
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
