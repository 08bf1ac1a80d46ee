// Package gateway is the single entry (:8080): it routes by the services' specifications, admits only valid tokens, and
// writes its own errors in the API's envelope. It serves openapi/operations.yaml, the pages of staff, itself. No route
// leads to KOS or to an internal API. Begin with New (gateway.go).
package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/middleware"
	"phonebill/adapters/rest/portal"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/openapi"
	"phonebill/ports"
)

// Config is the configuration of a gateway. An upstream is a proxy when deployed, the service's own handler in the
// all-in-one.
type Config struct {
	Auth, Bill, Product http.Handler
	// Operations registers openapi/operations.yaml: opsapi.Handlers.Mount.
	Operations    func(to *contract.Router, hooks rest.Hooks)
	Health        map[string]http.Handler // GET handlers: /health, /livez, /readyz
	Authenticator contract.Authenticator
	Log           *slog.Logger
	Registry      prometheus.Registerer
	Clock         ports.Clock
	Clients       middleware.Clients            // which proxies are believed, and the systems that call for their users
	Origins       Origins                       // of the web pages that may call; none by default
	Hosts         []string                      // the names of this gateway; none allow every host
	Limits        *Limits                       // nil: no caller is limited
	SandboxLogins []string                      // ids of demo accounts that the portal suggests
	Degradation   func() operations.Degradation // what is missing; nil: nothing is stated
	Maintenance   Maintenance                   // nil: there never is one
	Screen        Screen                        // judges requests before they are routed; nil: nothing does
}

// Screen returns a middleware that may refuse a request by fail. It is inside of what limits the request's size.
type Screen func(fail middleware.Fail) func(http.Handler) http.Handler

// New returns the gateway's handler. It fails when two services claim the same paths, when an operation has no handler,
// or when the registry has the metrics already.
func New(c Config) (http.Handler, error) {
	errs := rest.NewProblemWriter(c.Log, c.Clock)
	routes := routes{first: map[string]http.Handler{}, fail: errs.Write}
	limited, err := c.limits()
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	hooks := rest.Hooks{Request: errs.WriteMalformed, Response: errs.Write}
	for _, service := range []struct {
		spec  string
		mount func(to *contract.Router)
	}{
		{openapi.Auth, forward(c.Auth)},
		{openapi.Bill, forward(c.maintained(false, errs.Write)(withoutCredential(c.Bill)))},
		{openapi.Product, forward(c.maintained(true, errs.Write)(withoutCredential(c.Product)))},
		{openapi.Operations, func(to *contract.Router) { c.Operations(to, hooks) }},
	} {
		spec, err := contract.Load(service.spec)
		if err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
		if err := routes.add(spec, c.Authenticator, limited, service.mount); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	routes.limit(limited)
	for path, handler := range c.Health {
		routes.first[firstSegment(path)] = probe(path, handler, errs.Write)
	}
	maps.Copy(routes.first, portal.Handlers(portal.Config{SandboxLogins: c.SandboxLogins, Fail: errs.Write}))
	metrics, err := middleware.NewMetrics(c.Registry)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	chain := rest.Edge{
		Within: middleware.GatewayDeadline, Fail: errs.Write, Metrics: metrics, Log: c.Log, Clock: c.Clock,
		Clients: c.Clients,
		Inner: []func(http.Handler) http.Handler{
			middleware.Degraded(c.Degradation), c.Origins.allow(c.Log), restrict(c.Hosts, c.Health, errs.Write),
		},
	}.Wrap(c.screened(routes, errs.Write))
	return ownTime(chain), nil
}

func (c Config) screened(h http.Handler, fail middleware.Fail) http.Handler {
	if c.Screen == nil {
		return h
	}
	return c.Screen(fail)(h)
}

// ownTime removes what a request says about its time, also when a trusted load balancer passes it on: a client must not
// be able to make healthy instances look late.
func ownTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del(middleware.TimeoutHeader)
		next.ServeHTTP(w, r)
	})
}

func forward(upstream http.Handler) func(to *contract.Router) {
	return func(to *contract.Router) { to.Forward(upstream) }
}

// withoutCredential removes the credential of a calling system (ADR 29), which only the auth service needs.
func withoutCredential(upstream http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("X-Service-Credential")
		upstream.ServeHTTP(w, r)
	})
}

// routes chooses a service's router by the first segment of the path, with or without the base path.
type routes struct {
	base  string
	first map[string]http.Handler
	fail  contract.Fail
}

func (r *routes) add(
	spec *openapi3.T, auth contract.Authenticator, limited *limits, mount func(to *contract.Router),
) error {
	router, err := contract.NewRouter(spec, auth, r.fail)
	if err != nil {
		return err
	}
	if limited != nil {
		router.AdmitBy(limited.admit)
	}
	mount(router)
	r.base = router.Base()
	for template := range spec.Paths.Map() {
		segment := firstSegment(template)
		if other, taken := r.first[segment]; taken && other != http.Handler(router) {
			return errors.New("two services claim /" + segment)
		}
		r.first[segment] = router
	}
	return router.Complete()
}

// probe restricts a health handler to GET and HEAD on exactly its path.
func probe(path string, h http.Handler, fail contract.Fail) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = "GET " + path // for the access log
		switch {
		case r.URL.Path != path:
			fail(w, r, fault.New(fault.ResourceNotFound))
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, r, fault.New(fault.BadMethod))
		default:
			h.ServeHTTP(w, r)
		}
	})
}

func firstSegment(path string) string {
	segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return segment
}

// ServeHTTP passes the request to the router of its first segment, or writes NOT_FOUND.
func (r routes) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	router, ok := r.first[firstSegment(strings.TrimPrefix(req.URL.Path, r.base))]
	if !ok {
		r.fail(w, req, fault.New(fault.ResourceNotFound))
		return
	}
	router.ServeHTTP(w, req)
}
