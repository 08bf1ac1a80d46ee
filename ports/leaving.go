package ports

import "context"

type shutdownKey struct{}

// WithLeaving says in the context of a request when its process begins to leave: left is closed then. The request may still be answered,
// but who merely waits for something to happen answers what is known now.
func WithShutdown(ctx context.Context, left <-chan struct{}) context.Context {
	return context.WithValue(ctx, shutdownKey{}, left)
}

// Leaving is closed when the process begins to leave; nil, which never is, when nobody has said.
func ShuttingDown(ctx context.Context) <-chan struct{} {
	left, _ := ctx.Value(shutdownKey{}).(<-chan struct{})
	return left
}
