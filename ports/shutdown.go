package ports

import "context"

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
