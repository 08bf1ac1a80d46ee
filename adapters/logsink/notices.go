package logsink

import (
	"context"
	"log/slog"

	"phonebill/core/product"
	"phonebill/ports"
)

// Notifier implements ports.Notifier. It is safe for concurrent use.
type Notifier struct{ log *slog.Logger }

var _ ports.Notifier = (*Notifier)(nil)

// NewNotifier returns a notifier that writes to log at level INFO.
func NewNotifier(log *slog.Logger) *Notifier { return &Notifier{log} }

// ChangeEnded writes which order ended, and how; whose it is stands in its row alone.
func (l *Notifier) ChangeEnded(ctx context.Context, o product.Order) error {
	l.log.LogAttrs(ctx, slog.LevelInfo, "customer notice", slog.String("requestId", o.ID.String()),
		slog.String("state", string(o.State)),
		slog.String("effective_date", o.EffectiveDate.String()))
	return nil
}
