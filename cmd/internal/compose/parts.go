package compose

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"phonebill/adapters/logsink"
	"phonebill/adapters/postgres"
	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/core/auth/access"
	"phonebill/core/personal"
	"phonebill/migrations"
)

// parts is a unit under construction: what it has opened, what its probes ask, what its metrics count.
type parts struct {
	Tools
	unit     *boot.Unit
	checks   map[string]boot.Check
	health   *boot.Health
	registry *prometheus.Registry
	alerts   *logsink.Alerts
	inside   *http.ServeMux       // of the internal listener
	internal internalapi.Handlers // the internal API there
	trusted  []netip.Prefix
	forms    *forms
	flights  []func() // block until no question to KOS is under way
}

// workers look again this often when nothing was due.
const idle = 200 * time.Millisecond

func begin(name string, l Listen, t Tools) *parts {
	p := &parts{Tools: t, checks: map[string]boot.Check{}, registry: prometheus.NewRegistry(), inside: http.NewServeMux(), trusted: l.Trusted}
	p.Log = t.Log.With("unit", name)
	p.internal.Log, p.internal.Now = p.Log, p.Now
	p.alerts = logsink.NewAlerts(p.Log, p.registry)
	p.health = boot.NewHealth(p.checks)
	p.unit = boot.NewUnit(name, l.Addr, l.Internal, p.health)
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.inside.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}))
	p.health.Routes(p.inside)
	return p
}

// failed closes what was opened so far.
func (p *parts) failed(err error) (*boot.Unit, error) {
	p.unit.Close()
	return nil, errors.Join(errors.New("cannot start "+p.unit.Name), err)
}

func (p *parts) pool(ctx context.Context, name string, url personal.Secret, size int) (*pgxpool.Pool, error) {
	pool, err := postgres.Pool(ctx, url.Reveal(), postgres.PoolConfig{MaxConns: int32(size), Name: p.unit.Name}) //nolint:gosec // 2..200
	if err != nil {
		return nil, err
	}
	p.unit.OnClose(pool.Close)
	p.checks[name] = postgres.Ping(pool)
	return pool, nil
}

// cache is not among the checks: without it everything goes on, only slower.
func (p *parts) cache(ctx context.Context, c Cache) (*valkey.Client, error) {
	client, err := valkey.Open(ctx, valkey.Config{
		Addr: c.Addr, Cluster: c.Cluster, Password: c.Password, Mini: c.Mini, Namespace: "phonebill", Metrics: p.registry,
	})
	if err != nil {
		return nil, err
	}
	p.unit.OnClose(client.Close)
	return client, nil
}

// stores are what every service keeps its data in.
type stores struct {
	pool    *pgxpool.Pool
	keyring *vault.Vault
	cache   *valkey.Client
}

func (p *parts) stores(ctx context.Context, d Data, db migrations.Database) (s stores, err error) {
	if s.pool, err = p.pool(ctx, "database", d.DatabaseURL, d.PoolSize); err != nil {
		return s, err
	}
	if s.keyring, err = vault.Open(d.Keyring); err != nil {
		return s, err
	}
	p.seal(ctx, s.keyring, db, postgres.NewSealingForm(db, s.pool))
	s.cache, err = p.cache(ctx, d.Cache)
	p.warnOfTooManyConnections(s.pool, d.Instances)
	return s, err
}

// warnOfTooManyConnections tells at start-up when all instances together want more connections than the server has (S-POOL).
func (p *parts) warnOfTooManyConnections(pool *pgxpool.Pool, instances int) {
	p.unit.Workers = append(p.unit.Workers, func(ctx context.Context) {
		warning, err := postgres.CheckCapacity(ctx, pool, instances)
		if err == nil && warning != "" {
			p.Log.WarnContext(ctx, "too many connections", "warning", warning)
		}
	})
}

// drain makes the unit wait, when it stops, for work that outlives its request and for questions to KOS under way.
func (p *parts) drain(work func()) {
	p.unit.Drain = func() {
		work()
		for _, wait := range slices.Backward(p.flights) { // those that were made first may be asked by later ones
			wait()
		}
	}
}

func (p *parts) worker(name string, every time.Duration, step boot.Step) {
	p.workers(1, name, every, step)
}

func (p *parts) workers(n int, name string, every time.Duration, step boot.Step) {
	p.unit.Workers = append(p.unit.Workers, boot.Loops(n, name, every, p.Log, step)...)
}

// report logs trouble that no caller hears of.
func (p *parts) report(ctx context.Context, err error) {
	p.Log.ErrorContext(ctx, "work went on without its caller and failed", "error", err.Error())
}

// serve adds the public API that the named file of package openapi specifies, and finishes the unit.
func (p *parts) serve(spec string, mount func(*contract.Router, rest.Hooks), g *access.Guard) (*boot.Unit, error) {
	doc, err := contract.Load(spec)
	if err != nil {
		return p.failed(err)
	}
	handler, err := rest.NewHandler(rest.Service{
		Spec: doc, Mount: mount, Unspecified: p.probes(), Authenticator: contract.AccessGuard{Guard: g, Log: p.Log},
		Log: p.Log, Registry: p.registry, Clock: p.Now, Trusted: p.trusted,
	})
	if err != nil {
		return p.failed(err)
	}
	p.inside.Handle(internalapi.Base, p.internal.Handler())
	p.unit.Handler, p.unit.Inside = handler, p.inside
	return p.unit, nil
}

func (p *parts) probes() map[string]http.Handler {
	mux := http.NewServeMux()
	p.health.Routes(mux)
	return map[string]http.Handler{"/health": mux, "/livez": mux, "/readyz": mux}
}
