// Package contract makes the OpenAPI file the law of a service: a route that the file does not know cannot be registered,
// one that the file promises cannot be forgotten, and no request reaches a handler before the file's security, parameters
// and body have been enforced.
package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"phonebill/core/fault"
)

// Gate decides who may pass. It is called for every operation with bearer security, before the request is looked at any
// further, so that an anonymous caller learns nothing.
type Gate interface {
	// Authenticate answers a context that carries the caller, or a fault: UNAUTHORIZED, TOKEN_*, FORBIDDEN. bearer is the
	// token without its scheme, never empty. permission is the operation's x-permission, "" for any logged-in user. isFor is the
	// operation's x-for-duty: what callers may come for who have to do that before anything else.
	Authenticate(ctx context.Context, bearer, permission string, isFor ...string) (context.Context, error)
}

// Fail answers an error; problem.Writer.Write is one.
type Fail func(w http.ResponseWriter, r *http.Request, err error)

// Router is an http.ServeMux that knows the specification. Use: NewRouter, give it to oapi-codegen's HandlerWithOptions as
// BaseRouter, Complete, serve. Registering is not safe for concurrent use, serving is.
type Router struct {
	spec    *openapi3.T
	base    string
	gate    Gate
	fail    Fail
	mux     *http.ServeMux
	allowed map[string][]string // methods by full path template
	faults  []error
}

// NewRouter answers an empty router for the specification, whose first server URL is the base path.
func NewRouter(spec *openapi3.T, gate Gate, fail Fail) (*Router, error) {
	if len(spec.Servers) == 0 || !strings.HasPrefix(spec.Servers[0].URL, "/") {
		return nil, errors.New("contract: the specification names no base path as its first server")
	}
	return &Router{
		spec: spec, base: strings.TrimSuffix(spec.Servers[0].URL, "/"), gate: gate, fail: fail,
		mux: http.NewServeMux(), allowed: map[string][]string{},
	}, nil
}

// Base is the path prefix of every operation, /api/v1.
func (c *Router) Base() string { return c.base }

// HandleFunc registers the handler of one operation; pattern is "METHOD /base/path". A pattern that the specification does
// not know is refused: Complete reports it.
func (c *Router) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	method, full, _ := strings.Cut(pattern, " ")
	template := strings.TrimPrefix(full, c.base)
	item := c.spec.Paths.Value(template)
	if item == nil || item.GetOperation(method) == nil || !strings.HasPrefix(full, c.base) {
		c.faults = append(c.faults, fmt.Errorf("contract: %s is not in the specification", pattern))
		return
	}
	op, err := newOperation(c.spec, item, item.GetOperation(method))
	if err != nil {
		c.faults = append(c.faults, fmt.Errorf("contract: %s: %w", pattern, err))
		return
	}
	guarded := c.guard(op, handler)
	c.register(method, full, guarded)
	if op.alsoAtRoot {
		c.register(method, template, guarded)
	}
}

// Forward registers every operation of the specification with one handler behind the gate. Requests are not validated: whoever
// is behind the handler does that (zero trust). The gateway is built of it.
func (c *Router) Forward(to http.Handler) {
	for template, item := range c.spec.Paths.Map() {
		for method, spec := range item.Operations() {
			op, err := newOperation(c.spec, item, spec)
			if err != nil {
				c.faults = append(c.faults, fmt.Errorf("contract: %s %s: %w", method, template, err))
				continue
			}
			op.forwarded = true
			guarded := c.guard(op, to.ServeHTTP)
			c.register(method, c.base+template, guarded)
			if op.alsoAtRoot {
				c.register(method, template, guarded)
			}
		}
	}
}

// Unspecified registers a handler for a path outside the specification (health checks): no security, no validation.
func (c *Router) Unspecified(method, path string, handler http.Handler) {
	c.register(method, path, handler.ServeHTTP)
}

func (c *Router) register(method, full string, handler http.HandlerFunc) {
	c.mux.HandleFunc(method+" "+full, handler)
	c.allowed[full] = append(c.allowed[full], method)
}

// guard is the order of things: who calls, is the request well-formed, then the handler.
func (c *Router) guard(op *operation, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if op.bearer {
			token, err := bearer(r)
			if err != nil {
				c.fail(w, r, err)
				return
			}
			ctx, err := c.gate.Authenticate(context.WithValue(r.Context(), routeKey{}, r.Pattern), token, op.permission, op.isFor...)
			if err != nil {
				c.fail(w, r, err)
				return
			}
			if err := op.validate(r); err != nil {
				c.fail(w, r, err)
				return
			}
			handler(w, r.WithContext(ctx))
			return
		}
		if err := op.validate(r); err != nil {
			c.fail(w, r, err)
			return
		}
		handler(w, r)
	}
}

type routeKey struct{}

// Route is the method and path template of the request that a Gate is asked about.
func Route(ctx context.Context) string {
	pattern, _ := ctx.Value(routeKey{}).(string)
	return pattern
}

// bearer reads RFC 6750's header: none or another scheme is UNAUTHORIZED, an unreadable one TOKEN_INVALID.
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", fault.New(fault.Unauthorized)
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", fault.New(fault.Unauthorized)
	}
	token = strings.TrimSpace(token)
	if len(values) > 1 || token == "" || strings.ContainsAny(token, " \t,") {
		return "", fault.New(fault.TokenInvalid)
	}
	return token, nil
}

// standardMethods are answered with 405 where a path does not have them.
var standardMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	http.MethodTrace, http.MethodConnect,
}

// Complete closes the router: it reports routes the specification does not know and operations nobody registered, and
// answers every other method with 405 and every other path with 404.
func (c *Router) Complete() error {
	for template, item := range c.spec.Paths.Map() {
		for method := range item.Operations() {
			if !slices.Contains(c.allowed[c.base+template], method) {
				c.faults = append(c.faults, fmt.Errorf("contract: nobody handles %s %s", method, template))
			}
		}
	}
	for full, methods := range c.allowed {
		if slices.Contains(methods, http.MethodGet) {
			methods = append(methods, http.MethodHead)
		}
		slices.Sort(methods)
		c.allowed[full] = methods
	}
	for full, methods := range c.allowed {
		for _, method := range standardMethods {
			if !slices.Contains(methods, method) {
				c.mux.HandleFunc(method+" "+full, c.deny(methods))
			}
		}
	}
	c.mux.HandleFunc("/", c.unmatched)
	return errors.Join(c.faults...)
}

func (c *Router) deny(allowed []string) http.HandlerFunc {
	allow := strings.Join(allowed, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		c.fail(w, r, fault.New(fault.BadMethod))
	}
}

// unmatched is 405 for a method nobody ever heard of on a known path, else 404.
func (c *Router) unmatched(w http.ResponseWriter, r *http.Request) {
	probe := r.Clone(r.Context())
	probe.Method = http.MethodGet
	_, pattern := c.mux.Handler(probe)
	_, full, _ := strings.Cut(pattern, " ")
	if methods, known := c.allowed[full]; known {
		c.deny(methods)(w, r)
		return
	}
	c.fail(w, r, fault.New(fault.ResourceNotFound))
}

// ServeHTTP routes the request. A path that is not clean is a 404, where http.ServeMux would redirect with a page of HTML.
func (c *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Path
	if !strings.HasPrefix(p, "/") || path.Clean(p) != strings.TrimSuffix(p, "/") && p != "/" || r.RequestURI == "*" {
		c.fail(w, r, fault.New(fault.ResourceNotFound))
		return
	}
	c.mux.ServeHTTP(w, r)
}
