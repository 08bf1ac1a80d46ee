package boot

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// failureLogInterval is how often a worker that goes on failing says so: some step five times a second, and a database
// may be away for hours.
const failureLogInterval = 30 * time.Second

// failureLog logs the failed steps of the workers of one name. It is safe for concurrent use.
type failureLog struct {
	log    *slog.Logger
	worker string

	mu       sync.Mutex
	last     time.Time // when a failure was logged
	silenced int       // failures since then
	failing  bool      // a failure was logged, and not yet that it works again
}

// record takes the result of a step. One that fails because ctx is done is not logged.
func (c *failureLog) record(ctx context.Context, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch now := time.Now(); {
	case err == nil && c.failing:
		c.failing = false
		c.log.InfoContext(ctx, "worker goes on", "worker", c.worker, "silenced", c.silenced)
		c.silenced = 0
	case err == nil, ctx.Err() != nil:
	case now.Sub(c.last) < failureLogInterval:
		c.silenced++
	default:
		c.log.ErrorContext(ctx, "worker step failed", "worker", c.worker, "error", err.Error(), "silenced", c.silenced)
		c.last, c.silenced, c.failing = now, 0, true
	}
}
