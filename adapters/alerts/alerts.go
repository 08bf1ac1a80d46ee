// Package alerts tells people of trouble by the two ways that every alarm system can listen to: a log line and a counter.
package alerts

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/core/alert"
	"phonebill/ports"
)

// Alerts implements ports.Alerts. It is safe for concurrent use.
type Alerts struct {
	log   *slog.Logger
	total *prometheus.CounterVec
}

var _ ports.Alerts = (*Alerts)(nil)

// New answers alerts that are written to log, at level ERROR with the kind as the attribute "alert", and counted as alerts_total by kind.
// That things are well again is an alert too and as loud, so that it reaches whoever heard of the trouble. registerer may be nil; one
// that refuses costs the metric, not the alerts.
func New(log *slog.Logger, registerer prometheus.Registerer) *Alerts {
	a := &Alerts{log: log, total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "alerts_total", Help: "Events that a person must hear of, by kind.",
	}, []string{"kind"})}
	if registerer == nil {
		return a
	}
	err := registerer.Register(a.total)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if held, ok := twice.ExistingCollector.(*prometheus.CounterVec); ok {
			a.total, err = held, nil
		}
	}
	if err != nil {
		log.Warn("alerts are not counted", slog.Any("error", err))
	}
	return a
}

// Raise writes and counts.
func (a *Alerts) Raise(ctx context.Context, raised alert.Alert) {
	a.total.WithLabelValues(string(raised.Kind)).Inc()
	a.log.ErrorContext(ctx, "alert", slog.String("alert", string(raised.Kind)), slog.String("subject", raised.Subject),
		slog.String("note", raised.Note))
}
