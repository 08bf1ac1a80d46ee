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
	"net/netip"
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
	Trusted       []netip.Prefix // peers whose X-Forwarded-* is believed: the gateway
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
	return Chain(router, middleware.ServiceDeadline, errs.Write, metrics, s.Log, s.Clock, s.Trusted), nil
}

// Chain wraps a handler in the middleware, in the one order that works: ids first, so that everything can be traced;
// then the caller; then the observation of everything below. The gateway uses it too.
func Chain(
	h http.Handler, within time.Duration, fail middleware.Fail, m *middleware.Metrics, log *slog.Logger, now ports.Clock,
	trusted []netip.Prefix,
) http.Handler {
	h = middleware.Limit(middleware.BodyLimit, fail)(h)
	h = middleware.Recover(fail)(h)
	h = middleware.Secure(h)
	h = middleware.Observe(m, log, now)(h)
	h = middleware.ResolveClient(trusted)(h)
	h = middleware.Deadline(within, trusted)(h)
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
