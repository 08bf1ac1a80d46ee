package stores

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"phonebill/cmd/internal/compose/service"
	"phonebill/core/operations"
)

// backlogTimeout is how long the database may take to count what waits. A scrape without it is better than none.
const backlogTimeout = 500 * time.Millisecond

// backlog reports to Prometheus what is not done with. It asks when it is scraped, and reports nothing without a
// result.
type backlog struct {
	ask           func(ctx context.Context) ([]operations.Backlog, error)
	items, oldest *prometheus.Desc
}

func newBacklog(ask func(ctx context.Context) ([]operations.Backlog, error)) backlog {
	return backlog{
		ask: ask,
		items: prometheus.NewDesc("phonebill_backlog",
			"What is not done with, over all instances, 10000 at most. Absent while the database is away.",
			[]string{"kind", "state"}, nil),
		oldest: prometheus.NewDesc("phonebill_backlog_oldest_seconds",
			"Age of the oldest that is not done with; 0 = none. Absent while the database is away.",
			[]string{"kind", "state"}, nil),
	}
}

// ReportBacklog adds what waits in the database to the metrics.
func (s Stores) ReportBacklog(
	b *service.Builder, count func(context.Context, *pgxpool.Pool) ([]operations.Backlog, error),
) {
	b.Registry.MustRegister(newBacklog(func(ctx context.Context) ([]operations.Backlog, error) {
		return count(ctx, s.Pool)
	}))
}

// Describe implements prometheus.Collector.
func (b backlog) Describe(to chan<- *prometheus.Desc) {
	to <- b.items
	to <- b.oldest
}

// Collect implements prometheus.Collector.
func (b backlog) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	all, err := b.ask(ctx)
	if err != nil { // the probes show that the database is away
		return
	}
	for _, w := range all {
		kind := string(w.Kind)
		to <- prometheus.MustNewConstMetric(b.items, prometheus.GaugeValue, float64(w.Items), kind, w.State)
		to <- prometheus.MustNewConstMetric(b.oldest, prometheus.GaugeValue, w.Oldest.Seconds(), kind, w.State)
	}
}
