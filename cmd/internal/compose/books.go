package compose

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/boot"
	"phonebill/core/freshness"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/product/reconciliation"
	"phonebill/core/retention"
	"phonebill/core/retention/purge"
	"phonebill/ports"
)

// Books configures how our orders, KOS and the deliveries are compared.
type Books struct {
	Night  freshness.Night // when the nightly run begins
	Limits reconciliation.Limits
}

// ReadBooks reads BOOKS_AT, between which times of day in Seoul the nightly run begins ("05:00-06:00"), or "off"; BOOKS_PER_MINUTE (20),
// how many questions a minute a run may ask KOS; and BOOKS_ASKING (4h), for how long.
func ReadBooks(r *boot.Reader, night string) Books {
	const most = 10_000
	l := reconciliation.DefaultLimits()
	l.PerMinute = r.Int("BOOKS_PER_MINUTE", l.PerMinute, 1, most)
	l.Asking = r.Duration("BOOKS_ASKING", l.Asking)
	return Books{Night: boot.Parsed(r, "BOOKS_AT", night, freshness.ParseNight), Limits: l}
}

// lookingForRuns is how often an instance looks for a run to carry on.
const lookingForRuns = time.Second

// compareBooks adds the worker that compares, and shows what it finds in the internal API.
func (p *parts) compareBooks(c Books, to outside, at stores) {
	checked := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "phonebill_books_checked_total", Help: "Change orders that were compared with KOS and the deliveries.",
	})
	differing := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "phonebill_books_differences_total", Help: "Differences found between our orders, KOS and the deliveries.",
	}, []string{"kind"})
	for _, kind := range product.DifferenceKinds() {
		differing.WithLabelValues(string(kind))
	}
	p.registry.MustRegister(checked, differing)
	service := &reconciliation.Service{
		Books: postgres.NewBooks(at.pool, at.keyring), Runs: postgres.NewBookRuns(at.pool, at.keyring), KOS: to.kos,
		Alerts: p.alerts, Limits: c.Limits, Night: c.Night, Now: p.Now, NewID: p.NewID,
		Saw: func(orders int) { checked.Add(float64(orders)) },
		Found: func(ctx context.Context, d product.Difference) {
			differing.WithLabelValues(string(d.Kind)).Inc()
			p.Log.WarnContext(ctx, "the books differ", slog.String("requestId", d.RequestID.String()), slog.String("kind", string(d.Kind)),
				slog.String("text", d.Text))
		},
	}
	p.worker("books", lookingForRuns, service.Step)
	p.internal.Reconciliations = service
}

// bookRetention is how long reports are kept: as long as the orders they tell of.
func bookRetention(at stores) purge.History {
	return purge.History{Name: "books", Years: retention.Changes, Purge: postgres.PurgeBookRuns(at.pool)}
}

// BookChecks wires where staff have the books compared.
func BookChecks(i Instances, token personal.Secret) (ports.BookChecks, error) {
	link, err := linkTo(i, token)
	if err != nil {
		return nil, err
	}
	return link.Reconciliations(productService), nil
}
