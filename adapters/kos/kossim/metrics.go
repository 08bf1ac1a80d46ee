package kossim

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are those of one simulator, in a registry of its own, so that several fit in one process.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	latency  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kossim_calls_total", Help: "Calls answered or let go, by operation, scenario of the line, and result.",
		}, []string{"operation", "scenario", "result"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kossim_call_duration_seconds", Help: "Time to the answer, by operation.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2, 3, 5, 10},
		}, []string{"operation"}),
	}
	m.registry.MustRegister(m.calls, m.latency)
	return m
}

func (m *metrics) observe(t call, result string, took time.Duration) {
	m.calls.WithLabelValues(string(t.endpoint.name), string(t.scenario), result).Inc()
	m.latency.WithLabelValues(string(t.endpoint.name)).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
