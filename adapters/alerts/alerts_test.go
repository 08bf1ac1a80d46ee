package alerts_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/alerts"
	"phonebill/core/alert"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// counted reads alerts_total of one kind.
func counted(t *testing.T, registry *prometheus.Registry, kind alert.Kind) int {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "alerts_total" && m.GetLabel()[0].GetValue() == string(kind) {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	portstest.Alerts(t, func(t *testing.T) (ports.Alerts, func(alert.Kind) int) {
		t.Helper()
		registry := prometheus.NewRegistry()
		return alerts.New(slog.New(slog.DiscardHandler), registry), func(k alert.Kind) int { return counted(t, registry, k) }
	})
}

func TestTheLineThatAlarmsLookFor(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := alerts.New(slog.New(slog.NewJSONHandler(&log, nil)), nil)
	a.Raise(t.Context(), alert.Alert{Kind: alert.BreakerOpened, Subject: "bill.inquiry", Note: "5 failures in a row"})
	var line map[string]any
	require.NoError(t, json.Unmarshal(log.Bytes(), &line))
	delete(line, "time")
	require.Equal(t, map[string]any{
		"level": "ERROR", "msg": "alert", "alert": "breaker_opened", "subject": "bill.inquiry", "note": "5 failures in a row",
	}, line)
}

func TestTheRegistererMayBeSharedOrRefuse(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		alerts.New(logger, registry).Raise(t.Context(), alert.Alert{Kind: alert.OverQuota})
	}
	require.Equal(t, 2, counted(t, registry, alert.OverQuota))
	require.NotContains(t, log.String(), "not counted")

	other := prometheus.NewRegistry()
	other.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "alerts_total", Help: "somebody else's"}))
	alerts.New(logger, other).Raise(t.Context(), alert.Alert{Kind: alert.OverQuota})
	require.Contains(t, log.String(), "not counted")
}
