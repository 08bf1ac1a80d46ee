package ports

import (
	"context"
	"time"
)

// Trace ties together everything that one request causes, from the edge to KOS and the logs.
type Trace struct {
	RequestID string // X-Request-ID as accepted or made at the edge
	TraceID   string // W3C trace id, 32 hex digits
	SpanID    string // W3C span id of this hop, 16 hex digits
}

// Traceparent returns the header to send onwards, empty when there is no trace.
func (t Trace) Traceparent() string {
	if t.TraceID == "" || t.SpanID == "" {
		return ""
	}
	return "00-" + t.TraceID + "-" + t.SpanID + "-01"
}

type traceKey struct{}

// WithTrace returns a context that carries the trace.
func WithTrace(ctx context.Context, t Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the trace that ctx carries, the zero Trace when it carries none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

type shutdownKey struct{}

// WithShutdown returns a context that carries the process's shutdown: the channel is closed when the shutdown begins.
// The request may still be completed, but a long poll returns what is known at that moment.
func WithShutdown(ctx context.Context, shutdown <-chan struct{}) context.Context {
	return context.WithValue(ctx, shutdownKey{}, shutdown)
}

// ShuttingDown returns the channel that is closed when the process begins to shut down; nil, which is never closed,
// when the context carries none.
func ShuttingDown(ctx context.Context) <-chan struct{} {
	shutdown, _ := ctx.Value(shutdownKey{}).(<-chan struct{})
	return shutdown
}

// RecordTimeout is how long recording the outcome of a call may take after its caller has gone.
const RecordTimeout = 2 * time.Second

// RecordContext returns a context for what must be recorded even if the caller has gone: a guess, an event of the
// history, the end of a session. It outlives the caller and ends after RecordTimeout.
func RecordContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout)
}
