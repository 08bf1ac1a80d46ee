package boot

import (
	"context"
	"log/slog"
	"time"
)

// Step does what is due and returns how much it was; 0 means nothing was due.
type Step func(ctx context.Context) (int, error)

// Loop makes a worker that steps as long as there is work and looks again after idle otherwise, or after an error.
func Loop(name string, idle time.Duration, log *slog.Logger, step Step) Worker {
	return Loops(1, name, idle, log, step)[0]
}

// Loops makes several workers of one name that share their steps, and the log of their failures: however often a step
// fails, and of however many of them, it is logged at once and then twice a minute, and once when it works again.
func Loops(n int, name string, idle time.Duration, log *slog.Logger, step Step) []Worker {
	failures := &failureLog{log: log, worker: name}
	loops := make([]Worker, n)
	for i := range loops {
		loops[i] = func(ctx context.Context) {
			for ctx.Err() == nil {
				n, err := step(ctx)
				failures.record(ctx, err)
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
	return loops
}
