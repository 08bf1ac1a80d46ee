package productchange

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/compose/links"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/product"
	"phonebill/core/product/reconciliation"
)

// reconciliationInterval is how often an instance looks for a run to carry on.
const reconciliationInterval = time.Second

// reconcile adds the worker that compares our orders, KOS and the deliveries.
func reconcile(b *service.Builder, to *links.Links, at stores.Stores, c Reconciliation) *reconciliation.Service {
	checked := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "phonebill_books_checked_total", Help: "Change orders that were compared with KOS and the deliveries.",
	})
	differing := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "phonebill_books_differences_total", Help: "Differences found between our orders, KOS and the deliveries.",
	}, []string{"kind"})
	for _, kind := range product.DifferenceKinds() {
		differing.WithLabelValues(string(kind))
	}
	b.Registry.MustRegister(checked, differing)
	s := &reconciliation.Service{
		Source: postgres.NewReconciliationSource(at.Pool, at.Keyring),
		Runs:   postgres.NewReconciliationRuns(at.Pool, at.Keyring),
		KOS:    to.KOS, Alerts: b.Alerts, Limits: c.limits(), Night: c.Night, Now: b.Now, NewID: b.NewID,
		CountChecked: func(orders int) { checked.Add(float64(orders)) },
		ReportDifference: func(ctx context.Context, d product.Difference) {
			differing.WithLabelValues(string(d.Kind)).Inc()
			b.Log.WarnContext(ctx, "the books differ", slog.String("requestId", d.RequestID.String()),
				slog.String("kind", string(d.Kind)), slog.String("text", d.Text))
		},
	}
	b.Worker("books", reconciliationInterval, s.Step)
	return s
}
