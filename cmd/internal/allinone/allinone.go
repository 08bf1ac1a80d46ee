// Package allinone runs the whole of phonebill on one machine: ground, simulators, services, gateway, demo data. It is what
// `make run` starts and what the end-to-end tests drive.
package allinone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"phonebill/adapters/kos"
	"phonebill/adapters/mvnoap"
	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose"
	"phonebill/cmd/internal/demo"
	"phonebill/cmd/internal/devstack"
	coreauth "phonebill/core/auth"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/migrations"
)

// config is the environment of the all-in-one. Every address has a default; port 0 takes any free port.
type config struct {
	dir       string
	pool      int
	quota     quota.Window
	customers quota.Allowance // what each may spend of it
	floor     postgres.Floor
	breakers  kos.BreakerPolicies
	fresh     compose.Fresh
	prefetch  compose.Prefetch
	simQuota  int
	sessions  coreauth.SessionPolicy
	searches  int             // exact searches per member of staff and hour
	token     personal.Secret // of the internal API; empty = made here
	auditing  personal.Secret // of the gateway, for the audit log; empty = made here
	auth      compose.Listen
	bill      compose.Listen
	product   compose.Listen
	gateway   compose.Listen
	kos       compose.Listen
	ap        compose.Listen
	login     compose.Login
	history   compose.History
	policy    product.Policy
	books     compose.Books
	apBreaker mvnoap.BreakerPolicy
	apRate    int
	simDelay  int // percent
}

func read(env boot.Env) (config, error) {
	r := env.Read()
	if !r.Development() {
		r.Mistake(boot.Environment, errors.New("everything on one machine, with demo logins, is for development: use make run"))
	}
	at := func(public, publicDefault, internal, internalDefault string) compose.Listen {
		return compose.Listen{
			Addr: r.String(public, "127.0.0.1:"+publicDefault), Internal: r.String(internal, "127.0.0.1:"+internalDefault),
		}
	}
	budget := compose.ReadQuota(r)
	c := config{
		dir: r.String("PHONEBILL_DATA", ".data"), pool: r.Int("DATABASE_POOL_SIZE", 20, 2, 200), quota: budget,
		customers: compose.ReadPerCustomer(r, budget),
		floor:     compose.ReadFloor(r, budget), fresh: compose.ReadFresh(r), prefetch: compose.ReadPrefetch(r, "off"),
		breakers:  compose.ReadBreakers(r),
		apBreaker: compose.ReadAPBreaker(r),
		apRate:    compose.ReadAPRate(r),
		simDelay:  compose.ReadSimDelay(r),
		simQuota:  compose.ReadSimQuota(r), sessions: compose.ReadSessions(r), token: personal.NewSecret(r.String("INTERNAL_TOKEN", "")),
		searches: compose.ReadSearches(r),
		auditing: personal.NewSecret(r.String("GATEWAY_AUDIT_TOKEN", "")),
		login:    compose.ReadLogin(r, "false"), // plain HTTP on loopback
		gateway:  at("GATEWAY_ADDR", "8080", "GATEWAY_INTERNAL_ADDR", "9080"),
		auth:     at("AUTH_ADDR", "8081", "AUTH_INTERNAL_ADDR", "9081"),
		bill:     at("BILL_ADDR", "8082", "BILL_INTERNAL_ADDR", "9082"),
		product:  at("PRODUCT_ADDR", "8083", "PRODUCT_INTERNAL_ADDR", "9083"),
		kos:      at("KOS_ADDR", "8084", "KOS_CONTROL_ADDR", "8094"),
		ap:       at("MVNOAP_ADDR", "8085", "MVNOAP_CONTROL_ADDR", "8095"),
	}
	c.gateway.Trusted = compose.ReadTrustedProxies(r)
	c.policy, c.books = compose.ReadPolicy(r), compose.ReadBooks(r, "off")
	c.history = compose.ReadHistory(r, filepath.Join(c.dir, "spool"))
	return c, r.Err()
}

// LogFile is the name of the log, inside the data folder.
const LogFile = "phonebill.log"

// OpenLog opens the log for appending, making the data folder if need be.
func OpenLog(env boot.Env) (*os.File, error) {
	c, err := read(env)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(c.dir, LogFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// DemoFile is the name of the file, inside the data folder, that tells what runs where.
const DemoFile = "demo.json"

// Run starts everything in this process, tells about it on out, and stops everything when ctx is done or a part breaks.
func Run(ctx context.Context, env boot.Env, out io.Writer, log *slog.Logger) error {
	return run(ctx, env, out, log, func(s *system) parts { return s })
}

// parts is the system in one process or in several.
type parts interface {
	start(ctx context.Context) error
	stop() error
}

func run(ctx context.Context, env boot.Env, out io.Writer, log *slog.Logger, as func(*system) parts) error {
	c, err := read(env)
	if err != nil {
		return err
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	unlock, err := lock(c.dir)
	if err != nil {
		return err
	}
	defer unlock()
	path := filepath.Join(c.dir, DemoFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("demo file: %w", err)
	}
	ground, err := devstack.Start(ctx, c.dir, env, log)
	if err != nil {
		return err
	}
	s := &system{config: c, ground: ground, tools: compose.RealTools(log), broken: make(chan error, 1)}
	p := as(s)
	err = s.secretsAndPeople()
	if err == nil {
		err = p.start(ctx)
	}
	if err == nil {
		err = s.announce(out, path)
	}
	if err == nil {
		select {
		case <-ctx.Done():
			_, _ = fmt.Fprintln(out, "stopping …")
		case err = <-s.broken:
		case err = <-ground.Broken():
		}
	}
	_ = os.Remove(path)
	return errors.Join(err, p.stop(), ground.Stop())
}

// system is what runs on the ground.
type system struct {
	config
	ground             *devstack.Stack
	tools              compose.Tools
	running            []*boot.Running
	units              []*boot.Unit
	broken             chan error
	people             demo.People
	kosToken, apSecret string
	file               demo.File
}

// secretsAndPeople makes, or finds again, what the parts and the demo accounts log in with.
func (s *system) secretsAndPeople() error {
	var err1, err2, err3, err4, err5 error
	s.kosToken, err1 = s.ground.Secrets.Get("kos.token", devstack.Token)
	s.apSecret, err2 = s.ground.Secrets.Get("mvnoap.secret", devstack.WebhookSecret)
	s.people, err3 = demo.Plan(s.ground.Secrets.Get, devstack.Readable)
	if s.token.Reveal() == "" {
		var token string
		token, err4 = s.ground.Secrets.Get(devstack.InternalToken, devstack.Token)
		s.token = personal.NewSecret(token)
	}
	if s.auditing.Reveal() == "" {
		var token string
		token, err5 = s.ground.Secrets.Get(devstack.GatewayAuditToken, devstack.Token)
		s.auditing = personal.NewSecret(token)
	}
	return errors.Join(err1, err2, err3, err4, err5)
}

func (s *system) start(ctx context.Context) error {
	kos, err := s.simulator(ctx, "kos", func(state string) (*boot.Unit, error) {
		return compose.KOSSimulator(compose.KOSSimConfig{
			Listen: s.kos, Tokens: []string{s.kosToken}, StateDir: state, Quota: s.simQuota, Delay: s.simDelay,
		})
	})
	if err != nil {
		return err
	}
	ap, err := s.simulator(ctx, "mvnoap", func(state string) (*boot.Unit, error) {
		return compose.APSimulator(compose.APSimConfig{Listen: s.ap, Secrets: []string{s.apSecret}, StateDir: state})
	})
	if err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return err
	}
	return s.services(ctx,
		compose.KOS{
			URL: kos.URL, Token: personal.NewSecret(s.kosToken), DatabaseURL: s.ground.DatabaseURL(migrations.KOS), Quota: s.quota,
			PerCustomer: s.customers,
			Floor:       s.floor, Fresh: s.fresh, Prefetch: s.prefetch, Breakers: s.breakers,
		},
		compose.AP{URL: ap.URL, Secret: personal.NewSecret(s.apSecret), Breaker: s.apBreaker, Rate: s.apRate},
		demo.Simulator{URL: kos.URL, Control: kos.InternalURL}, demo.Simulator{URL: ap.URL, Control: ap.InternalURL})
}

func (s *system) simulator(ctx context.Context, name string, wire func(state string) (*boot.Unit, error)) (*boot.Running, error) {
	state := filepath.Join(s.dir, name)
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	unit, err := wire(state)
	if err != nil {
		return nil, err
	}
	return s.run(ctx, unit)
}

// services starts auth first: the others ask it for keys and revocations.
func (s *system) services(ctx context.Context, kos compose.KOS, ap compose.AP, kosSim, apSim demo.Simulator) error {
	authUnit, err := compose.Auth(ctx, compose.AuthConfig{
		Listen: s.auth, Data: s.ground.Data(migrations.Auth, s.pool), InternalToken: s.token, Sessions: s.sessions, Login: s.login,
		Searches:          s.searches,
		GatewayAuditToken: s.auditing,
	}, s.tools)
	if err != nil {
		return err
	}
	auth, err := s.run(ctx, authUnit)
	if err != nil {
		return err
	}
	link := compose.AuthLink{URL: auth.URL, InternalURL: auth.InternalURL, Token: s.token}
	billUnit, err := compose.Bill(ctx, compose.BillConfig{
		Listen: s.bill, Data: s.ground.Data(migrations.Bill, s.pool), Auth: link, KOS: kos, AP: ap, History: s.history,
	}, s.tools)
	if err != nil {
		return err
	}
	bill, err := s.run(ctx, billUnit)
	if err != nil {
		return err
	}
	productUnit, err := compose.Product(ctx, compose.ProductConfig{
		Listen: s.product, Data: s.ground.Data(migrations.Product, s.pool), Auth: link, KOS: kos, AP: ap, Policy: s.policy,
		Books: s.books,
	}, s.tools)
	if err != nil {
		return err
	}
	product, err := s.run(ctx, productUnit)
	if err != nil {
		return err
	}
	gatewayUnit, err := compose.Gateway(ctx, compose.GatewayConfig{
		Listen: s.gateway, Cache: s.ground.Cache, Auth: link,
		Instances:  compose.Instances{Bill: []string{bill.InternalURL}, Product: []string{product.InternalURL}},
		AuditToken: s.auditing,
	}, compose.Upstreams{
		Auth: authUnit.Handler, Bill: billUnit.Handler, Product: productUnit.Handler,
	}, s.tools)
	if err != nil {
		return err
	}
	gateway, err := s.run(ctx, gatewayUnit)
	if err != nil {
		return err
	}
	s.file = demo.File{
		BaseURL:  gateway.URL,
		Services: map[string]string{"auth": auth.URL, "bill": bill.URL, "product": product.URL},
		Metrics: map[string]string{
			"gateway": gateway.InternalURL + "/metrics", "auth": auth.InternalURL + "/metrics",
			"bill": bill.InternalURL + "/metrics", "product": product.InternalURL + "/metrics", "kos": kosSim.Control + "/metrics",
		},
		KOS: kosSim, MVNOAP: apSim,
	}
	return s.awaitReady(ctx)
}

func (s *system) run(ctx context.Context, u *boot.Unit) (*boot.Running, error) {
	r, err := u.Start(ctx, s.tools.Log)
	if err != nil {
		u.Close()
		return nil, err
	}
	s.running, s.units = append(s.running, r), append(s.units, u)
	go func() {
		if err := <-r.Failed(); err != nil {
			select {
			case s.broken <- err:
			default:
			}
		}
	}()
	return r, nil
}

// seed creates the demo accounts through the auth service's own store.
func (s *system) seed(ctx context.Context) error {
	keyring, err := vault.Open(s.ground.Keyring)
	if err != nil {
		return err
	}
	pool, err := postgres.Pool(ctx, s.ground.Access.AppURL(migrations.Auth), postgres.PoolConfig{Name: "demo data"})
	if err != nil {
		return err
	}
	defer pool.Close()
	form, err := postgres.NewSealingForm(migrations.Auth, pool).Form(ctx)
	if err != nil {
		return err
	}
	keyring.Obey(form)
	return demo.Seed(ctx, s.people, postgres.NewUsers(pool, keyring), postgres.NewSecondFactors(pool, keyring), time.Now())
}

// readyWithin is how long everything together may take to get ready.
const readyWithin = 30 * time.Second

func (s *system) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for _, u := range s.units {
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

// announce writes the demo file and prints the logins.
func (s *system) announce(out io.Writer, path string) error {
	f := s.file
	f.Customers, f.Operator, f.Admin = s.people.Customers, s.people.Operator, s.people.Admin
	cache := s.ground.Cache
	f.Cache = demo.Cache{Address: cache.Addr, Cluster: cache.Cluster, Password: cache.Password.Reveal(), Mini: cache.Mini}
	f.Databases = map[string]string{}
	for _, db := range migrations.All() {
		f.Databases[string(db)] = s.ground.Access.OwnerURL(db)
	}
	if err := f.Write(path); err != nil {
		return err
	}
	for _, n := range s.ground.Notices {
		if _, err := fmt.Fprintln(out, "note:", n); err != nil {
			return err
		}
	}
	return f.Print(out, path)
}

func (s *system) stop() error {
	var errs []error
	for i := len(s.running) - 1; i >= 0; i-- {
		errs = append(errs, s.running[i].Stop())
	}
	return errors.Join(errs...)
}
