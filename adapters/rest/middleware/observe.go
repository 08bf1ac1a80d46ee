package middleware

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/ports"
)

// Metrics counts and times requests by method, route pattern and status class.
type Metrics struct{ seconds *prometheus.HistogramVec }

// NewMetrics registers phonebill_http_request_seconds; it fails when the registry has one already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "phonebill_http_request_seconds",
		Help:    "Time to answer a request, by method, route pattern and status class.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .2, .5, 1, 2, 3, 5, 10, 30},
	}, []string{"method", "route", "class"})}
	if err := registry.Register(m.seconds); err != nil {
		return nil, fmt.Errorf("middleware: register metrics: %w", err)
	}
	return m, nil
}

// Observe writes one access-log line and one metric per request. It names the route, never the path, query or body,
// which hold personal data. Handlers below it must pass the request on without copying it, for the mux notes its
// pattern on it; so it belongs directly around the mux, with only Recover, Limit and Secure between.
func Observe(m *Metrics, log *slog.Logger, now ports.Clock) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec, start := &recorder{ResponseWriter: w}, now()
			defer func() {
				took := now().Sub(start)
				m.seconds.WithLabelValues(method(r.Method), route(r.Pattern), class(rec.status)).Observe(took.Seconds())
				log.LogAttrs(r.Context(), slog.LevelInfo, "request",
					slog.String("method", method(r.Method)), slog.String("route", route(r.Pattern)), slog.Int("status", rec.code()),
					slog.Float64("ms", float64(took.Microseconds())/1000),
					slog.String("httpRequestId", ports.TraceOf(r.Context()).RequestID),
					slog.String("traceId", ports.TraceOf(r.Context()).TraceID))
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

// method returns a label of a bounded set, whatever a client sends.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return m
	default:
		return "OTHER"
	}
}

func route(pattern string) string {
	if pattern == "" || pattern == "/" {
		return "unmatched"
	}
	return pattern
}

func class(status int) string { return strconv.Itoa(max(status, http.StatusOK)/100) + "xx" }

// recorder remembers the status of the answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) code() int { return max(r.status, http.StatusOK) }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // 1xx is not the answer yet
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b) //nolint:wrapcheck // a ResponseWriter returns the error of the one below
}

// Unwrap lets http.ResponseController reach Flush and deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
