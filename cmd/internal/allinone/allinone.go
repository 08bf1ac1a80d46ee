// Package allinone runs the whole of phonebill on one machine: PostgreSQL and the cache, simulators, services, gateway,
// demo data. It is what `make run` starts and what the end-to-end tests drive.
package allinone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/adapters/tlsfiles/devca"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/personal"
	"phonebill/migrations"
)

// Config is the environment of the all-in-one itself; that of its parts is checked with it. Every address has a
// default; port 0 takes any free port.
type Config struct {
	Stack       devstack.Config
	InternalAPI service.InternalAPI     // made here when it is empty
	Audit       service.AuditCredential // made here when it is empty
	// `1`: `make run` makes an authority and certificates in its data folder; the gateway speaks TLS, and gateway and
	// services show each other certificates ([docs/tls.md](docs/tls.md)).
	TLS     bool `env:"TLS" envDefault:"false"`
	Process boot.Process
}

// Validate implements boot.Config.
func (c Config) Validate(f *boot.Faults) {
	if !f.Development() {
		f.Add(boot.Environment,
			errors.New("everything on one machine, with demo logins, is for development: use make run"))
	}
	c.Process.Validate(f)
}

// load reads the configuration and checks that of the parts; the error names every fault, each once.
func load(env boot.Env) (Config, error) {
	c, err := boot.Load[Config](env)
	faults := []error{err}
	settings := env.With(map[string]string{boot.Environment: "development"}, defaults(c.Stack.Dir)).With(nil, made())
	for _, p := range new(system).parts() {
		_, err := p.listeners(settings)
		faults = append(faults, err)
	}
	return c, boot.JoinFaults(faults...)
}

// defaults are those of the all-in-one where they differ from a deployment's.
func defaults(dir string) map[string]string {
	return map[string]string{
		"PREFETCH_NIGHT": "off", "BOOKS_AT": "off", "SPOOL_DIR": filepath.Join(dir, "spool"),
		"AUTH_COOKIE_SECURE": "false", // plain HTTP on loopback
		"GATEWAY_HOSTS":      strings.Join(loopback(), ","),
		"DRAIN_DELAY":        "0", // everything stops at once
	}
}

// loopback returns the names of this machine for itself.
func loopback() []string { return []string{"localhost", "127.0.0.1", "::1"} }

// made stands for what the all-in-one makes when it starts, while the configuration of the parts is checked.
func made() map[string]string {
	all := map[string]string{}
	for _, key := range []string{
		"AUTH_DATABASE_URL", "BILL_DATABASE_URL", "PRODUCT_DATABASE_URL", "KOS_DATABASE_URL", "KEYRING_FILE", "VALKEY_ADDR",
		"KOS_URL", "KOS_TOKEN", "MVNOAP_URL", "MVNOAP_SECRET",
	} {
		all[key] = "made"
	}
	return all
}

// LogFile is the name of the log, inside the data folder.
const LogFile = "phonebill.log"

// OpenLog opens the log for appending, making the data folder if need be.
func OpenLog(env boot.Env) (*os.File, error) {
	c, err := load(env)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Stack.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(c.Stack.Dir, LogFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log file: %w", err)
	}
	return file, nil
}

// DemoFile is the name of the file, inside the data folder, that lists what runs where.
const DemoFile = "demo.json"

// Run starts everything in this process, describes it on out, and stops everything when ctx is done or a part breaks.
func Run(ctx context.Context, env boot.Env, out io.Writer, log *slog.Logger) error {
	return run(ctx, env, out, log, func(s *system) runner { return &oneProcess{system: s} })
}

// runner runs the parts of the system: in one process or in several.
type runner interface {
	start(ctx context.Context) error
	stop() error
}

func run(ctx context.Context, env boot.Env, out io.Writer, log *slog.Logger, as func(*system) runner) error {
	c, err := load(env)
	if err != nil {
		return err
	}
	if c.Stack.Dir, err = filepath.Abs(c.Stack.Dir); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	unlock, err := lock(c.Stack.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	path := filepath.Join(c.Stack.Dir, DemoFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("demo file: %w", err)
	}
	stack, err := devstack.Start(ctx, c.Stack, log)
	if err != nil {
		return err
	}
	s := &system{
		Config: c, dir: c.Stack.Dir, stack: stack, tools: service.RealTools(log), sites: map[string]site{},
		broken: make(chan error, 1),
	}
	r := as(s)
	err = s.prepare(ctx, env)
	if err == nil {
		err = r.start(ctx)
	}
	if err == nil {
		err = s.announce(out, path)
	}
	if err == nil {
		select {
		case <-ctx.Done():
			_, _ = fmt.Fprintln(out, "stopping …")
		case err = <-s.broken:
		case err = <-stack.Broken():
		}
	}
	_ = os.Remove(path)
	return errors.Join(err, r.stop(), stack.Stop())
}

// system is what runs on the stack.
type system struct {
	Config
	dir    string
	stack  *devstack.Stack
	tools  service.Tools
	env    boot.Env          // that of the parts: given, then ours, then the all-in-one's defaults
	given  map[string]string // what the all-in-one makes, and where the parts are that run already
	sites  map[string]site   // of the parts that run already
	people devstack.People
	// identity is that of the parts, and of who looks at them, with TLS=1.
	identity service.Identity
	broken   chan error
}

// site is where a part is, by origins without a path.
type site struct{ url, internal string }

// prepare makes, or finds again, what the parts and the demo accounts log in with, and creates the demo accounts.
func (s *system) prepare(ctx context.Context, env boot.Env) error {
	secret := s.stack.Secrets.Get
	kosToken, err1 := secret("kos.token", devstack.Token)
	apSecret, err2 := secret("mvnoap.secret", devstack.WebhookSecret)
	internal, err3 := s.orMade(s.InternalAPI.Token, devstack.InternalToken)
	auditing, err4 := s.orMade(s.Audit.AuditToken, devstack.GatewayAuditToken)
	var err5 error
	s.people, err5 = devstack.PlanPeople(secret, devstack.Readable)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	cache := s.stack.Cache
	s.given = map[string]string{
		"KOS_TOKEN": kosToken, "MVNOAP_SECRET": apSecret, "INTERNAL_TOKEN": internal, "GATEWAY_AUDIT_TOKEN": auditing,
		"KEYRING_FILE": s.stack.Keyring, "VALKEY_ADDR": cache.Addr, "VALKEY_PASSWORD": cache.Password.Reveal(),
		"VALKEY_CLUSTER": fmt.Sprint(cache.Cluster), "VALKEY_MINI": fmt.Sprint(cache.Mini),
		"AUTH_DATABASE_URL":    s.stack.Access.AppURL(migrations.Auth),
		"BILL_DATABASE_URL":    s.stack.Access.AppURL(migrations.Bill),
		"PRODUCT_DATABASE_URL": s.stack.Access.AppURL(migrations.Product),
		"KOS_DATABASE_URL":     s.stack.Access.AppURL(migrations.KOS),
	}
	var logins []string
	for _, c := range s.people.Customers {
		logins = append(logins, c.UserID+":"+c.LineNumber)
	}
	s.given["PORTAL_SANDBOX_LOGINS"] = strings.Join(logins, ",")
	if s.TLS {
		if err := s.makeCertificates(); err != nil {
			return err
		}
	}
	s.env = env.With(s.given, defaults(s.dir))
	return s.seed(ctx)
}

// makeCertificates makes the authority and the certificates of TLS=1, or finds them again, and gives them to the parts.
func (s *system) makeCertificates() error {
	ca, err := devca.Open(filepath.Join(s.dir, "tls"), s.tools.Now())
	if err != nil {
		return err
	}
	public, err1 := ca.Issue("gateway", s.tools.Now(), loopback()...)
	inner, err2 := ca.Issue("services", s.tools.Now(), loopback()...)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	s.identity = service.Identity{Cert: inner.Cert, Key: inner.Key, CA: inner.CA}
	maps.Copy(s.given, map[string]string{
		"TLS_CERT_FILE": public.Cert, "TLS_KEY_FILE": public.Key, "AUTH_COOKIE_SECURE": "true",
		"MTLS_CERT_FILE": inner.Cert, "MTLS_KEY_FILE": inner.Key, "MTLS_CA_FILE": inner.CA,
	})
	return nil
}

// orMade returns what the environment says, or else the secret of that name, which is made once.
func (s *system) orMade(said personal.Secret, name string) (string, error) {
	if v := said.Reveal(); v != "" {
		return v, nil
	}
	return s.stack.Secrets.Get(name, devstack.Token)
}

// runs notes that a part runs at a site, for the parts that need it.
func (s *system) runs(p part, at site) {
	s.sites[p.name] = at
	maps.Copy(s.given, p.urls(at))
}

// oneProcess runs the parts in this process.
type oneProcess struct {
	*system
	running []*boot.Running
	units   []*boot.Unit
}

// start starts auth before the services that ask it for keys and revocations, and waits until all are ready.
func (o *oneProcess) start(ctx context.Context) error {
	for _, p := range o.parts() {
		if err := o.begin(ctx, p); err != nil {
			return err
		}
	}
	return o.awaitReady(ctx)
}

func (o *oneProcess) begin(ctx context.Context, p part) error {
	u, err := p.wire(ctx, o.env.With(p.own, nil), o.before())
	if err != nil {
		return err
	}
	r, err := u.Start(ctx, o.tools.Log)
	if err != nil {
		u.Close()
		return err
	}
	o.running, o.units = append(o.running, r), append(o.units, u)
	o.runs(p, site{r.URL, r.InternalURL})
	go func() {
		if err := <-r.Failed(); err != nil {
			select {
			case o.broken <- err:
			default:
			}
		}
	}()
	return nil
}

// seed creates the demo accounts through the auth service's own store.
func (s *system) seed(ctx context.Context) error {
	keyring, err := vault.Open(s.stack.Keyring)
	if err != nil {
		return err
	}
	pool, err := postgres.Pool(ctx, s.stack.Access.AppURL(migrations.Auth), postgres.PoolConfig{Name: "demo data"})
	if err != nil {
		return err
	}
	defer pool.Close()
	form, err := postgres.NewSealingForm(migrations.Auth, pool).Form(ctx)
	if err != nil {
		return err
	}
	keyring.Obey(form)
	return devstack.SeedPeople(ctx, s.people, postgres.NewUsers(pool, keyring),
		postgres.NewSecondFactors(pool, keyring), time.Now())
}

// readyTimeout is how long everything together may take to get ready.
const readyTimeout = 30 * time.Second

func (o *oneProcess) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, u := range o.units {
		for failing := u.Failing(ctx); failing != ""; failing = u.Failing(ctx) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s does not get ready: %s", u.Name, failing)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// stop stops the parts, the last started first.
func (o *oneProcess) stop() error {
	var errs []error
	for i := len(o.running) - 1; i >= 0; i-- {
		errs = append(errs, o.running[i].Stop())
	}
	return errors.Join(errs...)
}

// announce writes the demo file and prints the logins.
func (s *system) announce(out io.Writer, path string) error {
	cache := s.stack.Cache
	f := devstack.DemoFile{
		BaseURL: s.sites[gatewayName].url, Services: map[string]string{}, Metrics: map[string]string{},
		Customers: s.people.Customers, Operator: s.people.Operator, Admin: s.people.Admin,
		Cache: devstack.DemoCache{
			Address: cache.Addr, Cluster: cache.Cluster, Password: cache.Password.Reveal(), Mini: cache.Mini,
		},
		Databases: map[string]string{}, TLS: s.identity,
		KOS:    devstack.Simulator{URL: s.sites[kosName].url, Control: s.sites[kosName].internal},
		MVNOAP: devstack.Simulator{URL: s.sites[apName].url, Control: s.sites[apName].internal},
	}
	for short, name := range map[string]string{"auth": authName, "bill": service.Bill, "product": service.Product} {
		f.Services[short] = s.sites[name].url
		f.Metrics[short] = s.sites[name].internal + "/metrics"
	}
	f.Metrics["gateway"], f.Metrics["kos"] = s.sites[gatewayName].internal+"/metrics", f.KOS.Control+"/metrics"
	for _, db := range migrations.All() {
		f.Databases[string(db)] = s.stack.Access.OwnerURL(db)
	}
	if err := f.Write(path); err != nil {
		return err
	}
	for _, n := range s.stack.Notices {
		if _, err := fmt.Fprintln(out, "note:", n); err != nil {
			return err
		}
	}
	return f.Print(out, path)
}
