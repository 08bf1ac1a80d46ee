package ports

import "context"

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
