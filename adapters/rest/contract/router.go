// Package contract enforces a service's OpenAPI file: only the routes of the file can be registered, each of them must
// be, and no request reaches a handler before the file's security, parameters and body have been checked. Begin with
// Router (router.go).
package contract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/fault"
	"phonebill/openapi"
)

// Authenticator decides which callers an operation admits. It is asked for every operation with bearer security, before
// the request is looked at any further, so that an anonymous caller learns nothing.
type Authenticator interface {
	// Authenticate returns a context that carries the caller, or UNAUTHORIZED, TOKEN_* or FORBIDDEN. bearer is the token
	// without its scheme, never empty. permission is the operation's x-permission, "" for any logged-in user. duties are
	// the operation's x-for-duty: a caller who must fulfil one of them before anything else is admitted all the same.
	Authenticate(ctx context.Context, bearer, permission string, duties ...string) (context.Context, error)
}

// Fail writes an error as the answer; rest.ProblemWriter.Write is one.
type Fail func(w http.ResponseWriter, r *http.Request, err error)

// Router is an http.ServeMux that knows the specification. Use: NewRouter, give it to oapi-codegen's
// HandlerWithOptions as BaseRouter, Complete, serve. Registering is not safe for concurrent use, serving is.
type Router struct {
	spec    *openapi3.T
	base    string
	auth    Authenticator
	fail    Fail
	admit   Admit
	mux     *http.ServeMux
	allowed map[string][]string // methods by full path template
	faults  []error
}

// NewRouter returns an empty router for the specification, whose first server URL is the base path.
func NewRouter(spec *openapi3.T, auth Authenticator, fail Fail) (*Router, error) {
	if len(spec.Servers) == 0 || !strings.HasPrefix(spec.Servers[0].URL, "/") {
		return nil, errors.New("contract: the specification names no base path as its first server")
	}
	return &Router{
		spec: spec, base: strings.TrimSuffix(spec.Servers[0].URL, "/"), auth: auth, fail: fail,
		mux: http.NewServeMux(), allowed: map[string][]string{},
	}, nil
}

// Admit decides about a request whose caller is authenticated, before anything else is looked at. ctx carries the
// caller; answer are the headers of the answer. An error is written as the answer.
type Admit func(ctx context.Context, answer http.Header) error

// AdmitBy has every operation with bearer security ask admit after the authentication. It is called before anything is
// served.
func (c *Router) AdmitBy(admit Admit) { c.admit = admit }

// Base returns the path prefix of every operation, /api/v1.
func (c *Router) Base() string { return c.base }

// HandleFunc registers the handler of one operation; pattern is "METHOD /base/path". Complete reports a pattern that
// the specification does not have.
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
	if op.conditional {
		handler = conditional(handler)
	}
	guarded := c.guard(op, handler)
	c.register(method, full, guarded)
	if op.alsoAtRoot {
		c.register(method, template, guarded)
	}
}

// Forward registers every operation of the specification with one handler, behind the authentication. Requests are not
// checked any further: the service behind the handler does that itself. The gateway is built of it.
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

// guard authenticates the caller, has it admitted, then checks the request, then calls the handler.
func (c *Router) guard(op *operation, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		op.lifetime.write(w.Header())
		if op.bearer {
			token, err := bearer(r)
			if err != nil {
				c.fail(w, r, err)
				return
			}
			ctx, err := c.auth.Authenticate(
				context.WithValue(r.Context(), routeKey{}, r.Pattern), token, op.permission, op.duties...,
			)
			if err != nil {
				c.fail(w, r, err)
				return
			}
			if c.admit != nil {
				if err := c.admit(ctx, w.Header()); err != nil {
					c.fail(w, r, err)
					return
				}
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

// Route returns the method and path template of the request that an Authenticator is asked about.
func Route(ctx context.Context) string {
	pattern, _ := ctx.Value(routeKey{}).(string)
	return pattern
}

// bearer reads the header of RFC 6750. It fails with UNAUTHORIZED without a bearer token, and with TOKEN_INVALID for a
// malformed one.
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

// standardMethods are the methods that get a 405 on a path that does not have them.
var standardMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions,
	http.MethodTrace, http.MethodConnect,
}

// Complete closes the router: it reports routes that the specification does not have and operations without a handler,
// and registers a 405 for every other method and a 404 for every other path.
func (c *Router) Complete() error {
	for template, item := range c.spec.Paths.Map() {
		for method := range item.Operations() {
			if !slices.Contains(c.allowed[c.base+template], method) {
				c.faults = append(c.faults, fmt.Errorf("contract: no handler for %s %s", method, template))
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

// unmatched sends 405 for an unknown method on a known path, and 404 for everything else.
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

// ServeHTTP routes the request. A path that is not clean gets a 404, where http.ServeMux would redirect with an HTML
// page.
func (c *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Path
	if !strings.HasPrefix(p, "/") || path.Clean(p) != strings.TrimSuffix(p, "/") && p != "/" || r.RequestURI == "*" {
		c.fail(w, r, fault.New(fault.ResourceNotFound))
		return
	}
	c.mux.ServeHTTP(w, r)
}

// AccessGuard implements Authenticator with the access guard. It logs who was denied which permission where
// (UFR-AUTH-020).
type AccessGuard struct {
	Guard *access.Guard
	Log   *slog.Logger // nil logs nothing
}

type principalKey struct{}

// Authenticate implements Authenticator: the returned context carries the principal. It fails with UNAUTHORIZED,
// TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_REVOKED, FORBIDDEN or PASSWORD_CHANGE_REQUIRED.
func (g AccessGuard) Authenticate(
	ctx context.Context, bearer, permission string, duties ...string,
) (context.Context, error) {
	exempt := make([]auth.Duty, len(duties))
	for i, d := range duties {
		exempt[i] = auth.Duty(d)
	}
	p, err := g.Guard.Admit(ctx, bearer, auth.Permission(permission), exempt...)
	if err != nil {
		if g.Log != nil && errors.Is(err, fault.New(fault.PermissionDenied)) {
			g.Log.WarnContext(ctx, "permission denied", "user", string(p.UserID), "permission", permission, "route", Route(ctx))
		}
		return nil, err
	}
	return context.WithValue(ctx, principalKey{}, p), nil
}

// Principal returns the authenticated caller of a request. For an operation without a bearer token it is the zero
// principal, who owns nothing and may do nothing.
func Principal(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(principalKey{}).(auth.Principal)
	return p
}

// specs holds what Load has read. Each specification has a common.yaml of its own: a loader that kept the parsed one
// would write to it when the next specification refers to it, while handlers read it for the first.
var specs = struct {
	sync.Mutex
	byName map[string]*openapi3.T
}{byName: map[string]*openapi3.T{}}

func newLoader() *openapi3.Loader {
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, location *url.URL) ([]byte, error) {
		return fs.ReadFile(openapi.Files, path.Clean(location.Path))
	}
	return loader
}

// Load returns the named specification of package openapi with all references between files resolved. A file is read
// once; all callers share the result and must not change it. Load is safe for concurrent use. It fails when there is
// no such file or when it is malformed.
func Load(name string) (*openapi3.T, error) {
	specs.Lock()
	defer specs.Unlock()
	if spec, ok := specs.byName[name]; ok {
		return spec, nil
	}
	spec, err := newLoader().LoadFromURI(&url.URL{Path: name})
	if err != nil {
		return nil, fmt.Errorf("contract: load openapi/%s: %w", name, err)
	}
	specs.byName[name] = spec
	return spec, nil
}
