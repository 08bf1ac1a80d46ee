package compose

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"phonebill/core/operations"
)

// backlogWithin is how long the database may take to tell what waits. A scrape without it is better than none.
const backlogWithin = 500 * time.Millisecond

// backlog tells Prometheus what is not done with. It asks when it is scraped, and tells nothing when there is no answer.
type backlog struct {
	ask           func(ctx context.Context) ([]operations.Backlog, error)
	items, oldest *prometheus.Desc
}

func newBacklog(ask func(ctx context.Context) ([]operations.Backlog, error)) backlog {
	return backlog{
		ask: ask,
		items: prometheus.NewDesc("phonebill_backlog",
			"What is not done with, over all instances, 10000 at most. Absent while the database is away.", []string{"kind", "state"}, nil),
		oldest: prometheus.NewDesc("phonebill_backlog_oldest_seconds",
			"Age of the oldest that is not done with; 0 = none. Absent while the database is away.", []string{"kind", "state"}, nil),
	}
}

// waiting adds what waits in the database to the metrics.
func (p *parts) waiting(pool *pgxpool.Pool, of func(context.Context, *pgxpool.Pool) ([]operations.Backlog, error)) {
	p.registry.MustRegister(newBacklog(func(ctx context.Context) ([]operations.Backlog, error) { return of(ctx, pool) }))
}

// Describe implements prometheus.Collector.
func (b backlog) Describe(to chan<- *prometheus.Desc) {
	to <- b.items
	to <- b.oldest
}

// Collect implements prometheus.Collector.
func (b backlog) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), backlogWithin)
	defer cancel()
	all, err := b.ask(ctx)
	if err != nil { // the probes tell that the database is away
		return
	}
	for _, w := range all {
		kind := string(w.Kind)
		to <- prometheus.MustNewConstMetric(b.items, prometheus.GaugeValue, float64(w.Items), kind, w.State)
		to <- prometheus.MustNewConstMetric(b.oldest, prometheus.GaugeValue, w.Oldest.Seconds(), kind, w.State)
	}
}
