package boot

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"phonebill/adapters/rest/middleware"
	"phonebill/core/operations"
)

// Check returns an error when something that the unit cannot work without is not there.
type Check func(ctx context.Context) error

// Health serves the probes: /livez (the process runs), /readyz and /health (it can serve: every check passes and it is
// not draining). Bodies are raw, without the envelope (R-API-PROBES), and name nothing internal.
type Health struct {
	// Degradation is what the unit goes on without; nil for a unit that has nothing to go on without.
	Degradation func() operations.Degradation

	checks   map[string]Check
	draining atomic.Bool
}

// NewHealth returns probes over the named checks.
func NewHealth(checks map[string]Check) *Health { return &Health{checks: checks} }

// Drain makes the unit not ready, for good.
func (h *Health) Drain() { h.draining.Store(true) }

// Draining reports whether Drain was called.
func (h *Health) Draining() bool { return h.draining.Load() }

// Routes adds the probes to a mux.
func (h *Health) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, probed{Status: "UP"})
	})
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("GET /health", h.ready)
}

func isProbe(path string) bool { return path == "/livez" || path == "/readyz" || path == "/health" }

// probeTimeout is how long all checks together may take.
const probeTimeout = 2 * time.Second

// probed is the body of a probe's answer. Its degradation does not decide on the status: a unit that can serve with
// less is UP.
type probed struct {
	Status      string    `json:"status"`
	Failed      string    `json:"failed,omitempty"`
	Degradation *degraded `json:"degradation,omitempty"`
}

// degraded is what is missing: the worst rung and all that apply.
type degraded struct {
	Rung   string    `json:"rung"`
	Causes []string  `json:"causes"`
	Since  time.Time `json:"since"`
}

// ready answers whether the unit can serve. What it goes on without is in the body and in the header that the gateway
// reads, whatever the status.
func (h *Health) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	status, body := http.StatusOK, probed{Status: "UP"}
	if failed := h.Failed(ctx); failed != "" {
		status, body = http.StatusServiceUnavailable, probed{Status: "DOWN", Failed: failed}
	}
	if h.Degradation != nil {
		is := h.Degradation()
		body.Degradation = &degraded{Rung: is.Causes.Rung().String(), Causes: is.Causes.Names(), Since: is.Since.UTC()}
		if is.Causes != 0 {
			w.Header().Set(middleware.DegradationHeader, is.Causes.String())
		}
	}
	answer(w, status, body)
}

// Failed names one check that fails; empty when all pass.
func (h *Health) Failed(ctx context.Context) string {
	if h.draining.Load() {
		return "draining"
	}
	for name, check := range h.checks {
		if check(ctx) != nil {
			return name
		}
	}
	return ""
}

func answer(w http.ResponseWriter, status int, body probed) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}
