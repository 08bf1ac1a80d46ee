// Package gateway is the single entry (:8080): it routes by the services' specifications, lets only good tokens through, and
// answers for itself in the one envelope. What staff see of the running system (openapi/operations.yaml) is its own as well. KOS is behind
// no route (ADR 2).
package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/edge"
	"phonebill/adapters/rest/internal/authgen"
	"phonebill/adapters/rest/internal/billgen"
	"phonebill/adapters/rest/internal/opsgen"
	"phonebill/adapters/rest/internal/productgen"
	"phonebill/adapters/rest/problem"
	"phonebill/core/fault"
	"phonebill/ports"
)

// Config is what a gateway consists of. An upstream is a Proxy when deployed, the service's own handler in the all-in-one.
type Config struct {
	Auth, Bill, Product http.Handler
	// Operations registers openapi/operations.yaml: opsapi.Handlers.Mount.
	Operations func(to *contract.Router, hooks rest.Hooks)
	Health     map[string]http.Handler // GET handlers: /health, /livez, /readyz
	Gate       contract.Gate
	Log        *slog.Logger
	Registry   prometheus.Registerer
	Clock      ports.Clock
	Trusted    []netip.Prefix // proxies and load balancers whose X-Forwarded-For is believed; none by default
}

// New answers the gateway's handler.
func New(c Config) (http.Handler, error) {
	errs := problem.NewWriter(c.Log, c.Clock)
	routes := routes{first: map[string]http.Handler{}, fail: errs.Write}
	hooks := rest.Hooks{Request: errs.WriteMalformed, Response: errs.Write}
	for _, service := range []struct {
		spec  func() (*openapi3.T, error)
		mount func(to *contract.Router)
	}{
		{authgen.GetSpec, forward(c.Auth)}, {billgen.GetSpec, forward(c.Bill)}, {productgen.GetSpec, forward(c.Product)},
		{opsgen.GetSpec, func(to *contract.Router) { c.Operations(to, hooks) }},
	} {
		spec, err := service.spec()
		if err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
		if err := routes.add(spec, c.Gate, service.mount); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	for path, handler := range c.Health {
		routes.first[firstSegment(path)] = probe(path, handler, errs.Write)
	}
	metrics, err := edge.NewMetrics(c.Registry)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return rest.Chain(routes, edge.GatewayDeadline, errs.Write, metrics, c.Log, c.Clock, c.Trusted), nil
}

func forward(upstream http.Handler) func(to *contract.Router) {
	return func(to *contract.Router) { to.Forward(upstream) }
}

// routes picks a service's router by the first segment of the path, with or without the base path.
type routes struct {
	base  string
	first map[string]http.Handler
	fail  contract.Fail
}

func (r *routes) add(spec *openapi3.T, gate contract.Gate, mount func(to *contract.Router)) error {
	router, err := contract.NewRouter(spec, gate, r.fail)
	if err != nil {
		return err
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

// probe answers GET on exactly that path.
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

// ServeHTTP routes the request, or answers NOT_FOUND.
func (r routes) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	router, ok := r.first[firstSegment(strings.TrimPrefix(req.URL.Path, r.base))]
	if !ok {
		r.fail(w, req, fault.New(fault.ResourceNotFound))
		return
	}
	router.ServeHTTP(w, req)
}
