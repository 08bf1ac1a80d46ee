package logsink_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/logsink"
	"phonebill/core/operations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// counted reads alerts_total of one kind.
func counted(t *testing.T, registry *prometheus.Registry, kind operations.AlertKind) int {
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
	portstest.Alerts(t, func(t *testing.T) (ports.Alerts, func(operations.AlertKind) int) {
		t.Helper()
		registry := prometheus.NewRegistry()
		return logsink.NewAlerts(slog.New(slog.DiscardHandler), registry),
			func(k operations.AlertKind) int { return counted(t, registry, k) }
	})
}

func TestTheLogLineOfAnAlert(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := logsink.NewAlerts(slog.New(slog.NewJSONHandler(&log, nil)), nil)
	a.Raise(t.Context(), operations.Alert{
		Kind: operations.BreakerOpened, Subject: "bill.inquiry", Note: "5 failures in a row",
	})
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
		logsink.NewAlerts(logger, registry).Raise(t.Context(), operations.Alert{Kind: operations.OverQuota})
	}
	require.Equal(t, 2, counted(t, registry, operations.OverQuota))
	require.NotContains(t, log.String(), "not counted")

	other := prometheus.NewRegistry()
	other.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "alerts_total", Help: "another collector"}))
	logsink.NewAlerts(logger, other).Raise(t.Context(), operations.Alert{Kind: operations.OverQuota})
	require.Contains(t, log.String(), "not counted")
}

// TestRepeatedAlertsAreWrittenOnceAMinute: with the count of the others; changes for the worse and the better are
// written each time.
func TestRepeatedAlertsAreWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		var log bytes.Buffer
		a := logsink.NewAlerts(slog.New(slog.NewTextHandler(&log, nil)), registry)
		lines := func() int { return strings.Count(log.String(), "level=ERROR") }
		for range 100 {
			a.Raise(t.Context(), operations.Alert{Kind: operations.RefusedByKOS, Subject: "bill.inquiry"})
			a.Raise(t.Context(), operations.Alert{Kind: operations.RefusedByKOS, Subject: "customer.get"})
		}
		require.Equal(t, 2, lines(), "once for each subject")
		a.Raise(t.Context(), operations.Alert{Kind: operations.OverQuota, Subject: "bill.inquiry"})
		require.Equal(t, 3, lines(), "another kind")
		require.NotContains(t, log.String(), "unsaid")
		time.Sleep(time.Minute)
		for range 2 {
			a.Raise(t.Context(), operations.Alert{Kind: operations.RefusedByKOS, Subject: "bill.inquiry"})
		}
		require.Equal(t, 4, lines())
		require.Contains(t, log.String(), "unsaid=99")
		require.Equal(t, 202, counted(t, registry, operations.RefusedByKOS), "all are counted")
		time.Sleep(10 * time.Minute)
		for range 3 {
			a.Raise(t.Context(), operations.Alert{Kind: operations.BreakerOpened, Subject: "bill.inquiry"})
			a.Raise(t.Context(), operations.Alert{Kind: operations.BreakerClosed, Subject: "bill.inquiry"})
		}
		require.Equal(t, 10, lines())
	})
}
