// Package news lets those who wait for a request hear at once what this process has stored about it, so that they need to look themselves
// but rarely: for what other processes stored.
package news

import (
	"sync"

	"phonebill/core/id"
)

// Board is where requests are waited for. The zero value is ready. It is safe for concurrent use.
type Board struct {
	mu      sync.Mutex
	waiting map[id.ID]*notice
}

// notice is shared by all who wait for one request.
type notice struct {
	told    chan struct{} // closed when there is news
	readers int
}

// On answers a channel that is closed with the next news of the request. Whoever called it calls done when he waits no more. Ask before
// looking: what is told between the two is not missed then.
func (b *Board) On(request id.ID) (told <-chan struct{}, done func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = map[id.ID]*notice{}
	}
	n := b.waiting[request]
	if n == nil {
		n = &notice{told: make(chan struct{})}
		b.waiting[request] = n
	}
	n.readers++
	return n.told, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if n.readers--; n.readers == 0 && b.waiting[request] == n {
			delete(b.waiting, request)
		}
	}
}

// Tell says that there is news of the request.
func (b *Board) Tell(request id.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.waiting[request]; n != nil {
		delete(b.waiting, request)
		close(n.told)
	}
}
