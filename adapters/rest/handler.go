// Package rest builds a service's public HTTP handler: middleware, contract, and the handlers that the generated strict
// server calls. The handlers themselves are in authapi, billapi, productapi and opsapi; internalapi serves the internal
// listener. It is also the one place that turns an error into an HTTP answer (problem.go): the envelope of the API, or
// RFC 9457 for a client that asks for it. No handler builds an error body. Begin with NewHandler.
package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/ports"
)

// Hooks are the error hooks that a strict server must be given; unset ones would write err.Error() as text.
type Hooks struct {
	Request  func(w http.ResponseWriter, r *http.Request, err error) // RequestErrorHandlerFunc and ErrorHandlerFunc
	Response func(w http.ResponseWriter, r *http.Request, err error) // ResponseErrorHandlerFunc
}

// Service is the configuration of NewHandler.
type Service struct {
	Spec *openapi3.T // of contract.Load
	// Mount registers the operations: HandlerWithOptions(strict, StdHTTPServerOptions{BaseURL: to.Base(), BaseRouter:
	// to, …}).
	Mount         func(to *contract.Router, hooks Hooks)
	Unspecified   map[string]http.Handler // GET handlers by path outside the contract: /health, /livez, /readyz
	Authenticator contract.Authenticator
	Log           *slog.Logger
	Registry      prometheus.Registerer
	Clock         ports.Clock
	Clients       middleware.Clients // how the caller is found out; the gateway is a trusted proxy
}

// NewHandler returns the handler of a service. It fails when handlers and specification do not match, or when the
// registry has the metrics already.
func NewHandler(s Service) (http.Handler, error) {
	errs := NewProblemWriter(s.Log, s.Clock)
	router, err := contract.NewRouter(s.Spec, s.Authenticator, errs.Write)
	if err != nil {
		return nil, fmt.Errorf("rest: %w", err)
	}
	s.Mount(router, Hooks{Request: errs.WriteMalformed, Response: errs.Write})
	for path, handler := range s.Unspecified {
		router.Unspecified(http.MethodGet, path, handler)
	}
	metrics, err := middleware.NewMetrics(s.Registry)
	if err := errors.Join(router.Complete(), err); err != nil {
		return nil, fmt.Errorf("rest: %w", err)
	}
	return Edge{
		Within: middleware.ServiceDeadline, Fail: errs.Write, Metrics: metrics, Log: s.Log, Clock: s.Clock,
		Clients: s.Clients,
	}.Wrap(router), nil
}

// Edge is what every request to a listener passes first. The gateway uses it too.
type Edge struct {
	Within  time.Duration // of the client's time that a request may take
	Fail    middleware.Fail
	Metrics *middleware.Metrics
	Log     *slog.Logger
	Clock   ports.Clock
	Clients middleware.Clients
	// Inner are the listener's own parts, the outermost first: inside Observe, outside of all that refuses a request.
	Inner []func(http.Handler) http.Handler
}

// Wrap wraps a handler in the middleware, in the one order that works: ids first, so that everything can be traced;
// then the caller; then the observation of everything below.
func (e Edge) Wrap(h http.Handler) http.Handler {
	h = middleware.Limit(middleware.BodyLimit, e.Fail)(h)
	h = middleware.RefuseUpgrade(e.Fail)(h)
	h = middleware.RefuseUnidentified(e.Fail)(h)
	for _, wrap := range slices.Backward(e.Inner) {
		h = wrap(h)
	}
	h = middleware.Recover(e.Fail)(h)
	h = middleware.Secure(h)
	h = middleware.Observe(e.Metrics, e.Log, e.Clock)(h)
	h = middleware.ResolveClient(e.Clients)(h)
	h = middleware.Deadline(e.Within, e.Clients.Trusted)(h)
	return middleware.Trace(newID)(h)
}

func newID() id.ID { return id.ID(uuid.Must(uuid.NewV7())) }

// Optional returns nil for the zero value, so that an absent field is left out of an answer.
func Optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// OptionalTime returns nil for the zero time.
func OptionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// OptionalDate returns nil for the zero date.
func OptionalDate(d calendar.Date) *string {
	if d.IsZero() {
		return nil
	}
	return Optional(d.String())
}

// Value returns the value of a field, or the zero value when the field was not sent.
func Value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
