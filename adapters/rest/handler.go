// Package rest puts a service's public HTTP face together: the edge, the contract, and the handlers that oapi-codegen's
// strict server calls. The handlers themselves live in authapi, billapi and productapi.
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
	"phonebill/adapters/rest/edge"
	"phonebill/adapters/rest/problem"
	"phonebill/core/id"
	"phonebill/ports"
)

// Hooks are the error hooks that a strict server must be given; unset ones would write err.Error() as text.
type Hooks struct {
	Request  func(w http.ResponseWriter, r *http.Request, err error) // RequestErrorHandlerFunc and ErrorHandlerFunc
	Response func(w http.ResponseWriter, r *http.Request, err error) // ResponseErrorHandlerFunc
}

// Service is what one service consists of.
type Service struct {
	Spec *openapi3.T // of the generated package: GetSpec()
	// Mount registers the operations: HandlerWithOptions(strict, StdHTTPServerOptions{BaseURL: to.Base(), BaseRouter: to, …}).
	Mount       func(to *contract.Router, hooks Hooks)
	Unspecified map[string]http.Handler // GET handlers by path outside the contract: /health, /livez, /readyz
	Gate        contract.Gate
	Log         *slog.Logger
	Registry    prometheus.Registerer
	Clock       ports.Clock
	Trusted     []netip.Prefix // peers whose X-Forwarded-* is believed: the gateway
}

// NewHandler answers the whole chain. It fails when handlers and specification do not match, or when the registry knows
// the metrics already.
func NewHandler(s Service) (http.Handler, error) {
	errs := problem.NewWriter(s.Log, s.Clock)
	router, err := contract.NewRouter(s.Spec, s.Gate, errs.Write)
	if err != nil {
		return nil, fmt.Errorf("rest: %w", err)
	}
	s.Mount(router, Hooks{Request: errs.WriteMalformed, Response: errs.Write})
	for path, handler := range s.Unspecified {
		router.Unspecified(http.MethodGet, path, handler)
	}
	metrics, err := edge.NewMetrics(s.Registry)
	if err := errors.Join(router.Complete(), err); err != nil {
		return nil, fmt.Errorf("rest: %w", err)
	}
	return Chain(router, edge.ServiceDeadline, errs.Write, metrics, s.Log, s.Clock, s.Trusted), nil
}

// Chain wraps a handler in the edge, in the one order that works: ids first, so that everything can be traced; then who
// calls; then what is observed, which is everything below. The gateway uses it too.
func Chain(
	h http.Handler, within time.Duration, fail edge.Fail, m *edge.Metrics, log *slog.Logger, now ports.Clock, trusted []netip.Prefix,
) http.Handler {
	h = edge.Limit(edge.BodyLimit, fail)(h)
	h = edge.Recover(fail)(h)
	h = edge.Secure(h)
	h = edge.Observe(m, log, now)(h)
	h = edge.WhoCalls(trusted)(h)
	h = edge.Deadline(within)(h)
	return edge.Identify(newID)(h)
}

func newID() id.ID { return id.ID(uuid.Must(uuid.NewV7())) }
