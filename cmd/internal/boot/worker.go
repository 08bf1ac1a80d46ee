package boot

import (
	"context"
	"log/slog"
	"time"
)

// Step does what is due and answers how much it was; 0 means nothing was due.
type Step func(ctx context.Context) (int, error)

// Loop makes a worker that steps as long as there is work and looks again every idle otherwise, or after trouble.
func Loop(name string, idle time.Duration, log *slog.Logger, step Step) Worker {
	return func(ctx context.Context) {
		for ctx.Err() == nil {
			n, err := step(ctx)
			if err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "worker step failed", "worker", name, "error", err.Error())
			}
			if n > 0 && err == nil {
				continue
			}
			select {
			case <-ctx.Done():
			case <-time.After(idle):
			}
		}
	}
}
