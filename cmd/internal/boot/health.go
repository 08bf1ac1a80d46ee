package boot

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// Check returns an error when something that the unit cannot work without is not there.
type Check func(ctx context.Context) error

// Health serves the probes: /livez (the process runs), /readyz and /health (it can serve: every check passes and it is
// not draining). Bodies are raw, without the envelope (R-API-PROBES), and name nothing internal.
type Health struct {
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
		answer(w, http.StatusOK, `{"status":"UP"}`)
	})
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("GET /health", h.ready)
}

func isProbe(path string) bool { return path == "/livez" || path == "/readyz" || path == "/health" }

// probeTimeout is how long all checks together may take.
const probeTimeout = 2 * time.Second

func (h *Health) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	if failed := h.Failed(ctx); failed != "" {
		answer(w, http.StatusServiceUnavailable, `{"status":"DOWN","failed":"`+failed+`"}`)
		return
	}
	answer(w, http.StatusOK, `{"status":"UP"}`)
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

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body + "\n"))
}
