package lifecycle

import (
	"context"
	"sync"
	"time"

	"phonebill/core/id"
	"phonebill/ports"
)

// SweepInterval is how often PollUntil reads the store without having been notified.
const SweepInterval = time.Second

// PollUntil is the long poll of a request (the parameter wait of docs/spec/api.md): by notification for what this
// process stores, by a sweep for what other processes store. It calls read until it reports that the request is done or
// returns an error, until the wait is over, or until the process shuts down; it returns what read returned last. The
// error is that of read, or of ctx if that ends first.
func PollUntil[T any](
	ctx context.Context, board *Board, request id.ID, wait time.Duration,
	read func(context.Context) (last T, done bool, err error),
) (T, error) {
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		published, unsubscribe := board.Subscribe(request)
		last, done, err := read(ctx)
		if err != nil || done || wait == 0 {
			unsubscribe()
			return last, err
		}
		sweep := time.NewTimer(SweepInterval)
		select {
		case <-published:
		case <-sweep.C:
		case <-end.C:
			wait = 0
		case <-ports.ShuttingDown(ctx):
			wait = 0
		case <-ctx.Done():
			err = ctx.Err()
		}
		sweep.Stop()
		unsubscribe()
		if err != nil {
			var none T
			return none, err
		}
	}
}

// Board notifies waiting callers of what this process has stored about a request. What other processes store is found
// by the sweep of PollUntil. The zero value is ready; it is safe for concurrent use.
type Board struct {
	mu      sync.Mutex
	waiting map[id.ID]*notice
}

// notice is shared by all subscribers of one request.
type notice struct {
	published   chan struct{} // closed by Publish
	subscribers int
}

// Subscribe returns a channel that the next Publish of the request closes, and a function that ends the subscription. A
// caller that subscribes before it reads the store misses nothing that is published in between.
func (b *Board) Subscribe(request id.ID) (published <-chan struct{}, unsubscribe func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = map[id.ID]*notice{}
	}
	n := b.waiting[request]
	if n == nil {
		n = &notice{published: make(chan struct{})}
		b.waiting[request] = n
	}
	n.subscribers++
	return n.published, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if n.subscribers--; n.subscribers == 0 && b.waiting[request] == n {
			delete(b.waiting, request)
		}
	}
}

// Publish wakes all subscribers of the request.
func (b *Board) Publish(request id.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.waiting[request]; n != nil {
		delete(b.waiting, request)
		close(n.published)
	}
}
