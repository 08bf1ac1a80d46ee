package compose

import (
	"context"
	"log/slog"
	"time"

	"phonebill/core/request"
	"phonebill/core/retention/purge"
)

// Retention runs once a day, in batches that a database hardly feels.
const (
	purging    = 24 * time.Hour
	purgeBatch = 1000
	purgePause = 200 * time.Millisecond
)

// retain adds the worker that forgets records whose time is over.
func (p *parts) retain(histories ...purge.History) {
	s := purge.Service{Histories: histories, Batch: purgeBatch, Pause: purgePause, Done: func(ctx context.Context, history string, n int) {
		p.Log.InfoContext(ctx, "records whose time is over were dropped", slog.String("history", history), slog.Int("records", n))
	}}
	p.worker("retention", purging, s.Step)
}

// forget adds the worker that drops idempotency keys which stand for nothing any more.
func (p *parts) forget(name string, drop func(ctx context.Context, before time.Time, n int) (int, error)) {
	p.worker(name, forgetting, func(ctx context.Context) (int, error) {
		return drop(ctx, p.Now().Add(-request.KeyWindow), purgeBatch)
	})
}
