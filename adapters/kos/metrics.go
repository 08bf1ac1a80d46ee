package kos

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of all calls. Clients that share a registerer share them.
type metrics struct {
	calls      *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	mismatches prometheus.Counter
	unlogged   prometheus.Counter
	oddMonths  prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{}
	var errs [5]error
	m.calls, errs[0] = register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kos_calls_total", Help: "Calls of KOS by operation and result code, or what else became of them.",
	}, []string{"operation", "result"}))
	m.seconds, errs[1] = register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kos_call_seconds", Help: "Time from asking KOS to its answer, or to giving up.",
		Buckets: []float64{.01, .05, .1, .25, .5, 1, 2, 3, 5, 10},
	}, []string{"operation"}))
	m.mismatches, errs[2] = register(r, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kos_bill_mismatch_total", Help: "Bills whose stated total is not charges less discounts.",
	}))
	m.unlogged, errs[3] = register(r, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kos_calls_unlogged_total", Help: "Calls that could not be written to the call log.",
	}))
	m.oddMonths, errs[4] = register(r, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kos_months_unreadable_total", Help: "Entries of lists of billing months that are no month.",
	}))
	return m, errors.Join(errs[:]...)
}

// register registers the collector and returns it, or the one of that name that is registered already.
func register[C prometheus.Collector](r prometheus.Registerer, c C) (C, error) {
	if r == nil {
		return c, nil
	}
	err := r.Register(c)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if existing, ok := twice.ExistingCollector.(C); ok {
			return existing, nil
		}
	}
	return c, err
}
