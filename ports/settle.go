package ports

import (
	"context"
	"time"
)

// SettleWithin is how long writing down what came of a call may take after its caller has gone.
const RecordTimeout = 2 * time.Second

// Settling answers a context for what must be written down whether or not the caller is still there: a guess, an event of the history, the
// end of a session. It outlives the caller, but not a store that does not answer.
func RecordContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout)
}
