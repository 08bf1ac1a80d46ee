package ports

import (
	"context"
	"time"
)

// RecordTimeout is how long recording the outcome of a call may take after its caller has gone.
const RecordTimeout = 2 * time.Second

// RecordContext returns a context for what must be recorded even if the caller has gone: a guess, an event of the
// history, the end of a session. It outlives the caller and ends after RecordTimeout.
func RecordContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout)
}
