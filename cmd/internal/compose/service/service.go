// Package service is what every service of phonebill is built of, whatever it serves: its logger, metrics, probes,
// workers, listeners, the cache and the check of tokens. It knows no database and no other system. Begin with Builder
// (service.go): Begin starts a unit, Builder.Serve finishes it.
package service

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"phonebill/adapters/logsink"
	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/middleware"
	"phonebill/adapters/tlsfiles"
	"phonebill/adapters/valkey"
	"phonebill/cmd/internal/boot"
	"phonebill/core/auth/access"
	"phonebill/core/operations"
)

// What the services are called in logs, metrics and /ops.
const (
	Auth    = operations.Auth
	Bill    = operations.Bill
	Product = operations.Product
	Gateway = operations.Gateway
)

// Builder is a unit under construction: what it has opened, what its probes ask, what its metrics count.
type Builder struct {
	Tools
	Unit        *boot.Unit
	Checks      map[string]boot.Check // by what they check
	Registry    *prometheus.Registry
	Alerts      *logsink.Alerts
	Mux         *http.ServeMux       // of the internal listener
	Internal    internalapi.Handlers // the internal API there
	Identity    *tlsfiles.Files      // what the unit shows to gateway and services; nil without mutual TLS
	Via         http.RoundTripper    // how gateway and services are reached; nil the ordinary way
	process     operations.Process   // as it was at the start
	health      *boot.Health
	degradation *degradation
	trusted     []netip.Prefix
	calls       []func() // each waits for calls to KOS under way
}

// IdleInterval is how often workers look again when nothing was due.
const IdleInterval = 200 * time.Millisecond

// Begin returns a builder with a logger, metrics and probes.
func Begin(name string, l Listen, t Tools) *Builder {
	b := &Builder{
		Tools: t, Checks: map[string]boot.Check{}, Registry: prometheus.NewRegistry(), Mux: http.NewServeMux(),
		trusted: l.Trusted,
	}
	b.Log = t.Log.With("unit", name)
	b.Internal.Log, b.Internal.Now = b.Log, b.Now
	b.Alerts = logsink.NewAlerts(b.Log, b.Registry)
	b.health = boot.NewHealth(b.Checks)
	b.Unit = boot.NewUnit(name, l.Addr, l.Internal, b.health)
	b.watchDegradation()
	b.health.Degradation = b.Degradation
	b.process = operations.Process{ID: b.NewID().String(), Release: boot.Release(), Started: b.Now()}
	b.Internal.Status = b.Status
	b.Unit.Fail = middleware.WithTrace(rest.NewProblemWriter(b.Log, b.Now).Write)
	b.Unit.DrainDelay = time.Duration(l.Draining.Delay)
	b.Registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	b.Mux.Handle("GET /metrics", promhttp.HandlerFor(b.Registry, promhttp.HandlerOpts{}))
	b.health.Routes(b.Mux)
	return b
}

// Fail closes what was opened so far and returns err with the unit's name.
func (b *Builder) Fail(err error) (*boot.Unit, error) {
	b.Unit.Close()
	return nil, errors.Join(errors.New("cannot start "+b.Unit.Name), err)
}

// OpenCache connects to the cache. It is not among the checks: without it everything goes on, only slower.
func (b *Builder) OpenCache(ctx context.Context, c Cache) (*valkey.Client, error) {
	client, err := valkey.Open(ctx, valkey.Config{
		Addr: c.Addr, Cluster: c.Cluster, Password: c.Password, Mini: c.Mini, Namespace: "phonebill", Metrics: b.Registry,
	})
	if err != nil {
		return nil, err
	}
	b.Unit.OnClose(client.Close)
	b.DegradedWithout(operations.CacheAway, client.Ping)
	return client, nil
}

// WaitForCalls makes the unit wait for calls to KOS under way before it closes what they need.
func (b *Builder) WaitForCalls(wait func()) { b.calls = append(b.calls, wait) }

// DrainOnStop makes the unit wait, when it stops, for work that outlives its request and then for calls to KOS under
// way.
func (b *Builder) DrainOnStop(work func()) {
	b.Unit.Drain = func() {
		work()
		for _, wait := range slices.Backward(b.calls) { // those that were made first may be asked by later ones
			wait()
		}
	}
}

// Worker adds a worker that steps as long as there is work and looks again every interval otherwise.
func (b *Builder) Worker(name string, every time.Duration, step boot.Step) {
	b.Workers(1, name, every, step)
}

// Workers adds n such workers.
func (b *Builder) Workers(n int, name string, every time.Duration, step boot.Step) {
	b.Unit.Workers = append(b.Unit.Workers, boot.Loops(n, name, every, b.Log, step)...)
}

// Report logs an error that is returned to no caller.
func (b *Builder) Report(ctx context.Context, err error) {
	b.Log.ErrorContext(ctx, "work went on without its caller and failed", "error", err.Error())
}

// Finish adds the public API that the named file of package openapi specifies, and the internal API, and finishes the
// unit.
func (b *Builder) Finish(spec string, mount func(*contract.Router, rest.Hooks), g *access.Guard) (*boot.Unit, error) {
	doc, err := contract.Load(spec)
	if err != nil {
		return b.Fail(err)
	}
	handler, err := rest.NewHandler(rest.Service{
		Spec: doc, Mount: mount, Unspecified: b.Probes(), Authenticator: contract.AccessGuard{Guard: g, Log: b.Log},
		Log: b.Log, Registry: b.Registry, Clock: b.Now, Clients: middleware.Clients{Trusted: b.trusted},
	})
	if err != nil {
		return b.Fail(err)
	}
	b.Mux.Handle(internalapi.Base, b.Internal.Handler())
	b.Unit.Handler, b.Unit.InternalHandler, b.Unit.PublicTLS = handler, b.Mux, b.Unit.InternalTLS
	return b.Unit, nil
}

// Probes are the handlers of the probes on the public listener, by path.
func (b *Builder) Probes() map[string]http.Handler {
	mux := http.NewServeMux()
	b.health.Routes(mux)
	return map[string]http.Handler{"/health": mux, "/livez": mux, "/readyz": mux}
}
