package boot

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// complainEvery is how often a worker that goes on failing says so: some step five times a second, and a database may be away for hours.
const complainEvery = 30 * time.Second

// complaints are what workers of one name say about their steps. It is safe for concurrent use.
type complaints struct {
	log    *slog.Logger
	worker string

	mu       sync.Mutex
	last     time.Time // of a complaint
	silenced int       // failures since then
	open     bool      // it was not said yet that it works again
}

// after hears how a step ended. One that fails because it is to end is no trouble.
func (c *complaints) after(ctx context.Context, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch now := time.Now(); {
	case err == nil && c.open:
		c.open = false
		c.log.InfoContext(ctx, "worker goes on", "worker", c.worker, "silenced", c.silenced)
		c.silenced = 0
	case err == nil, ctx.Err() != nil:
	case now.Sub(c.last) < complainEvery:
		c.silenced++
	default:
		c.log.ErrorContext(ctx, "worker step failed", "worker", c.worker, "error", err.Error(), "silenced", c.silenced)
		c.last, c.silenced, c.open = now, 0, true
	}
}
