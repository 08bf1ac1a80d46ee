package stores

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/core/operations"
)

func TestWhatWaitsIsInTheMetrics(t *testing.T) {
	t.Parallel()
	asked := 0
	b := newBacklog(func(context.Context) ([]operations.Backlog, error) {
		asked++
		return []operations.Backlog{
			{Kind: operations.Orders, State: "PARKED", Items: 2, Oldest: 90 * time.Second},
			{Kind: operations.Deliveries, State: "PENDING"},
		}, nil
	})
	require.Zero(t, asked, "not asked before it is scraped")
	require.Equal(t, map[string]float64{
		"phonebill_backlog orders PARKED": 2, "phonebill_backlog_oldest_seconds orders PARKED": 90,
		"phonebill_backlog deliveries PENDING": 0, "phonebill_backlog_oldest_seconds deliveries PENDING": 0,
	}, scraped(t, b))
	require.Equal(t, 1, asked, "one query a scrape")
}

// TestADatabaseThatIsAwayHidesNoOtherMetric: the scrape goes on in time without its metrics.
func TestADatabaseThatIsAwayHidesNoOtherMetric(t *testing.T) {
	t.Parallel()
	require.Empty(t, scraped(t, newBacklog(func(context.Context) ([]operations.Backlog, error) {
		return nil, errors.New("away")
	})))
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.Empty(t, scraped(t, newBacklog(func(ctx context.Context) ([]operations.Backlog, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})))
		require.Equal(t, backlogTimeout, time.Since(began))
	})
}

// scraped returns the metrics of a collector by name and labels.
func scraped(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue()
		}
	}
	return got
}
