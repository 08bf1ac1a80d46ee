// Package internalapi serves openapi/internal.yaml on a service's internal listener: what the gateway and the services
// ask of each other. No route of the gateway leads to it; adapters/internalclient is its client. Begin with Handlers
// (internalapi.go).
package internalapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"

	gen "phonebill/adapters/rest/internal/internalgen"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/staff"
	"phonebill/ports"
)

// Base is the path below which all operations are served.
const Base = "/internal/v1/"

// Handlers implements the generated strict server. A service sets the fields of its own part; an operation whose
// field is nil is not served.
type Handlers struct {
	// Token is the bearer token that all services share. The empty token admits every caller: for development, where the
	// internal listener is on loopback.
	Token personal.Secret
	Log   *slog.Logger
	Now   ports.Clock

	// The auth service's part.
	Revocations ports.RevocationFeed
	SessionUse  ports.SessionUse
	ServiceKeys ports.ServiceKeyList
	Audit       *AuditTrail
	Searches    ports.SearchBudget      // needs Audit, which knows the callers
	Maintenance ports.MaintenanceSwitch // needs Audit

	// The part of the services that call KOS.
	Status      func(context.Context) operations.Status
	Deliveries  ports.Deliveries
	Timelines   ports.Timelines
	Requests    ports.Requests
	RequestKind staff.Kind // of Requests

	// The product service's part.
	ParkedChanges   ports.ParkedChanges
	Reconciliations ports.Reconciler
}

// serves reports whether this service has the operations of a path.
func (h *Handlers) serves(path string) bool {
	resource, _, _ := strings.Cut(strings.TrimPrefix(path, Base), "/")
	switch resource {
	case "revocations":
		return h.Revocations != nil
	case "sessions":
		return h.SessionUse != nil
	case "service-keys":
		return h.ServiceKeys != nil
	case "audit":
		return h.Audit != nil
	case "exact-searches":
		return h.Audit != nil && h.Searches != nil
	case "maintenance":
		return h.Audit != nil && h.Maintenance != nil
	case "operations":
		return h.Status != nil
	case "deliveries":
		return h.Deliveries != nil
	case "timelines":
		return h.Timelines != nil
	case "requests":
		return h.Requests != nil
	case "parked-changes":
		return h.ParkedChanges != nil
	case "books":
		return h.Reconciliations != nil
	default:
		return false
	}
}

// Handler returns the handler of everything below Base. The fields must not change afterwards.
func (h *Handlers) Handler() http.Handler {
	strict := gen.NewStrictHandlerWithOptions(h, nil, gen.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: h.refuseMalformed, ResponseErrorHandlerFunc: h.refuse,
	})
	api := gen.HandlerWithOptions(strict, gen.StdHTTPServerOptions{
		BaseRouter: servedMux{http.NewServeMux(), h}, ErrorHandlerFunc: h.refuseMalformed,
	})
	return h.authenticate(h.checkInput(api))
}

// servedMux registers only what the service serves. Any other path is a 404 without a JSON body, by which a client
// recognises an instance of an older release, which does not have the operation.
type servedMux struct {
	*http.ServeMux
	by *Handlers
}

// HandleFunc registers the handler of "METHOD /path".
func (m servedMux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	if _, path, _ := strings.Cut(pattern, " "); m.by.serves(path) {
		m.ServeMux.HandleFunc(pattern, handler)
	}
}

// authenticate refuses a request without the internal token.
func (h *Handlers) authenticate(next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(h.Token.Reveal()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		sum := sha256.Sum256([]byte(given)) // of equal length, so that the time of comparing reveals nothing
		admitted := bearer && subtle.ConstantTimeCompare(sum[:], want[:]) == 1
		if h.Token.Reveal() != "" && !admitted {
			h.refuse(w, r, fault.New(fault.Unauthorized))
			return
		}
		next.ServeHTTP(w, r)
	})
}
