// Package logsink is the adapter for messages that go to the log: alerts (a log line and a counter, which every alarm
// system can follow) and notices to customers (one log line each, for whatever sends messages to customers).
package logsink

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/core/operations"
	"phonebill/ports"
)

// Alerts implements ports.Alerts. It is safe for concurrent use.
type Alerts struct {
	log   *slog.Logger
	total *prometheus.CounterVec

	mu          sync.Mutex
	lastWritten map[trouble]*written
}

// trouble identifies a repeated alert.
type trouble struct {
	kind    operations.AlertKind
	subject string
}

type written struct {
	at    time.Time
	again int // raised since, and not written
}

// repeatIn is how long repeats of an alert of the same kind and subject are not written.
const repeatIn = time.Minute

// forgetIn is the age at which the count of unwritten repeats is dropped.
const forgetIn = 24 * time.Hour

var _ ports.Alerts = (*Alerts)(nil)

// NewAlerts returns alerts that are written to log, at level ERROR with the kind as the attribute "alert", and counted
// as alerts_total by kind. A recovery is an alert at the same level, so that it reaches the same people. registerer may
// be nil; one that refuses costs the metric, not the alerts. A repeated alert is written once a minute for each kind
// and subject, with the attribute "unsaid": how often it has happened since it was last written. All of them are
// counted.
func NewAlerts(log *slog.Logger, registerer prometheus.Registerer) *Alerts {
	a := &Alerts{log: log, lastWritten: map[trouble]*written{}, total: prometheus.NewCounterVec(prometheus.CounterOpts{
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

// Raise counts, and writes what has not been written a moment ago.
func (a *Alerts) Raise(ctx context.Context, raised operations.Alert) {
	a.total.WithLabelValues(string(raised.Kind)).Inc()
	unsaid, write := a.due(raised, time.Now())
	if !write {
		return
	}
	attrs := []slog.Attr{
		slog.String("alert", string(raised.Kind)), slog.String("subject", raised.Subject), slog.String("note", raised.Note),
	}
	if unsaid > 0 {
		attrs = append(attrs, slog.Int("unsaid", unsaid))
	}
	a.log.LogAttrs(ctx, slog.LevelError, "alert", attrs...)
}

// due reports whether it is time to write the alert, and how many like it were not written since the last one.
func (a *Alerts) due(raised operations.Alert, now time.Time) (unsaid int, write bool) {
	if isTurn(raised.Kind) {
		return 0, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for what, last := range a.lastWritten { // subjects may be endless
		if age := now.Sub(last.at); age >= forgetIn || last.again == 0 && age >= repeatIn {
			delete(a.lastWritten, what)
		}
	}
	what := trouble{raised.Kind, raised.Subject}
	last, known := a.lastWritten[what]
	switch {
	case !known:
		a.lastWritten[what] = &written{at: now}
		return 0, true
	case now.Sub(last.at) < repeatIn:
		last.again++
		return 0, false
	default:
		unsaid = last.again
		*last = written{at: now}
		return unsaid, true
	}
}

// isTurn reports that the kind is a change for the worse or the better: each is written, so that the last one shows the
// current state.
func isTurn(k operations.AlertKind) bool {
	switch k {
	case operations.BreakerOpened, operations.BreakerClosed, operations.LedgerAway, operations.LedgerBack,
		operations.HistorySpooled, operations.HistoryStored:
		return true
	case operations.UnknownCode, operations.RefusedByKOS, operations.OverQuota, operations.CallUnlogged,
		operations.DeliveryParked, operations.HistoryRefused, operations.HistoryDamaged, operations.HistoryDiffers,
		operations.RowUnreadable, operations.SealedRefused, operations.AuditForged, operations.ChangeParked,
		operations.ReconciliationDiffers, operations.OftenUnlocked, operations.ManySearches,
		operations.UserIDsClash, operations.LineElsewhere:
	}
	return false
}
