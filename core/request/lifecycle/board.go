package lifecycle

import (
	"sync"

	"phonebill/core/id"
)

// Board notifies waiting callers of what this process has stored about a request. What other processes store is found
// by the sweep of Until. The zero value is ready; it is safe for concurrent use.
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
