// Package notices tells customers how their plan changes ended. As yet it writes a log line per notice, which whatever sends messages to
// customers may follow.
package notices

import (
	"context"
	"log/slog"

	"phonebill/core/product"
	"phonebill/ports"
)

// Log implements ports.Notifier. It is safe for concurrent use.
type Log struct{ log *slog.Logger }

var _ ports.Notifier = (*Log)(nil)

// New answers a notifier that writes to log at level INFO.
func New(log *slog.Logger) *Log { return &Log{log} }

// ChangeEnded writes which order ended, and how; whose it is stands in its row alone.
func (l *Log) ChangeEnded(ctx context.Context, o product.Order) error {
	l.log.LogAttrs(ctx, slog.LevelInfo, "customer notice", slog.String("requestId", o.ID.String()), slog.String("state", string(o.State)),
		slog.String("effective_date", o.EffectiveDate.String()))
	return nil
}
