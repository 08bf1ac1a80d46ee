// Package keyqueue serialises callers per key: they run one after the other, and each tries again when another one is
// done. It is plumbing below the adapters: it knows the standard library only.
package keyqueue

import (
	"context"
	"sync"
	"time"
)

// Queue is one waiting line per key. The zero value is ready; it is safe for concurrent use.
type Queue[K comparable] struct {
	mu    sync.Mutex
	lines map[K]*line
}

type line struct {
	turn chan struct{} // holds the turn
	wake chan struct{} // receives a change
	uses int
}

// Do calls try until it is done or fails, while no other Do of the key in this process does. It tries again after Wake
// and every poll, and gives up, returning false, when timeout is over or ctx ends. It tries once at least when no other
// Do is before it.
func (q *Queue[K]) Do(
	ctx context.Context, key K, timeout, poll time.Duration, try func() (done bool, err error),
) (bool, error) {
	l := q.join(key)
	defer q.release(key, l)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case l.turn <- struct{}{}:
	default:
		select {
		case l.turn <- struct{}{}:
		case <-ctx.Done():
			return false, nil
		}
	}
	defer func() { <-l.turn }()
	for {
		if done, err := try(); done || err != nil {
			return done, err
		}
		again := time.NewTimer(poll)
		select {
		case <-l.wake:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return false, nil
		}
		again.Stop()
	}
}

// Wake lets the Do that has the turn of the key try again now.
func (q *Queue[K]) Wake(key K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lines[key]; l != nil {
		select {
		case l.wake <- struct{}{}:
		default: // woken already
		}
	}
}

func (q *Queue[K]) join(key K) *line {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[key]
	if l == nil {
		if q.lines == nil {
			q.lines = map[K]*line{}
		}
		l = &line{turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
		q.lines[key] = l
	}
	l.uses++
	return l
}

func (q *Queue[K]) release(key K, l *line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.uses--; l.uses == 0 {
		delete(q.lines, key)
	}
}
