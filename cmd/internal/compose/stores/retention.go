package stores

import (
	"context"
	"log/slog"
	"time"

	"phonebill/cmd/internal/compose/service"
	"phonebill/core/request"
	"phonebill/core/retention/purge"
)

// Retention runs once a day, in batches that a database hardly feels.
const (
	purgeInterval = 24 * time.Hour
	purgeBatch    = 1000
	purgePause    = 200 * time.Millisecond
)

// Retain adds the worker that drops records whose time is over.
func Retain(b *service.Builder, histories ...purge.History) {
	done := func(ctx context.Context, history string, n int) {
		b.Log.InfoContext(ctx, "records whose time is over were dropped",
			slog.String("history", history), slog.Int("records", n))
	}
	s := purge.Service{Histories: histories, Batch: purgeBatch, Pause: purgePause, Done: done}
	b.Worker("retention", purgeInterval, s.Step)
}

// ForgetInterval is how often what no longer counts is deleted: idempotency keys, abandoned flights, old calls.
const ForgetInterval = 5 * time.Minute

// ForgetKeys adds the worker that drops idempotency keys which stand for nothing any more.
func ForgetKeys(
	b *service.Builder, name string, drop func(ctx context.Context, before time.Time, n int) (int, error),
) {
	b.Worker(name, ForgetInterval, func(ctx context.Context) (int, error) {
		return drop(ctx, b.Now().Add(-request.KeyWindow), purgeBatch)
	})
}
