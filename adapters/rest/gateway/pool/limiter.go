package pool

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"phonebill/core/upstream"
	"phonebill/ports"
)

// errBusy says that the service has too much to do.
var errBusy = errors.New("pool: too many requests under way")

// limiter bounds the requests under way at a service, and lets those beyond wait in order of their class. It is safe
// for concurrent use; a request that need not wait takes no lock.
type limiter struct {
	policy  upstream.LoadPolicy
	now     ports.Clock
	limit   atomic.Int64
	running atomic.Int64
	waiting atomic.Int64

	mu     sync.Mutex
	queues [3][]*waiter // by class; those that gave up stay until their turn

	begun   atomic.Int64 // of the window, in ns
	fastest atomic.Int64 // in ns
	answers atomic.Int64
	peak    atomic.Int64
}

// waiter is a request that waits; state says what became of it.
type waiter struct {
	state atomic.Int32 // 0: it waits, granted or gone
	turn  chan struct{}
}

const (
	granted int32 = 1
	gone    int32 = 2
)

func newLimiter(policy upstream.LoadPolicy, now ports.Clock) *limiter {
	l := &limiter{policy: policy, now: now}
	l.limit.Store(int64(policy.Start))
	l.restart(now())
	return l
}

// Limit returns how many requests may be under way now.
func (l *limiter) Limit() int { return int(l.limit.Load()) }

// Running returns how many requests are under way.
func (l *limiter) Running() int { return int(l.running.Load()) }

// Waiting returns how many requests wait.
func (l *limiter) Waiting() int { return int(l.waiting.Load()) }

// take takes a place if there is one and nobody waits for it.
func (l *limiter) take() bool {
	for {
		n := l.running.Load()
		if n >= l.limit.Load() {
			return false
		}
		if l.running.CompareAndSwap(n, n+1) {
			if peak := l.peak.Load(); n+1 > peak {
				l.peak.CompareAndSwap(peak, n+1) // a lost race costs one count
			}
			return true
		}
	}
}

// acquire waits for a place. It fails with errBusy when too many wait already, or when the patience of the class or ctx
// ends first.
func (l *limiter) acquire(ctx context.Context, c upstream.Class) error {
	if l.waiting.Load() == 0 && l.take() {
		return nil
	}
	w := &waiter{turn: make(chan struct{})}
	l.mu.Lock()
	if !l.policy.Admits(c, int(l.waiting.Load())) {
		l.mu.Unlock()
		return errBusy
	}
	l.queues[c] = append(l.queues[c], w)
	l.waiting.Add(1)
	l.grant() // a place may have become free before the request was in the queue
	l.mu.Unlock()

	patience := time.NewTimer(c.Patience())
	defer patience.Stop()
	select {
	case <-w.turn:
		return nil
	case <-patience.C:
	case <-ctx.Done():
	}
	if w.state.CompareAndSwap(0, gone) {
		l.waiting.Add(-1)
		return errBusy
	}
	return nil // its turn came at the same time
}

// grant gives free places to those that wait, the most important first. The caller holds the lock.
func (l *limiter) grant() {
	for c := range l.queues {
		for len(l.queues[c]) > 0 {
			w := l.queues[c][0]
			if w.state.Load() != gone {
				if !l.take() {
					return
				}
				if w.state.CompareAndSwap(0, granted) {
					l.waiting.Add(-1)
					close(w.turn)
				} else {
					l.running.Add(-1)
				}
			}
			l.queues[c][0] = nil
			l.queues[c] = l.queues[c][1:]
		}
		l.queues[c] = nil
	}
}

// release gives a place back.
func (l *limiter) release() {
	l.running.Add(-1)
	if l.waiting.Load() > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.grant()
	}
}

// observe takes one answer into the window, and adapts the limit when the window is complete. A window that has too few
// answers for long says nothing.
func (l *limiter) observe(took time.Duration) {
	for fastest := l.fastest.Load(); int64(took) < fastest; fastest = l.fastest.Load() {
		if l.fastest.CompareAndSwap(fastest, int64(took)) {
			break
		}
	}
	if l.answers.Add(1) < int64(l.policy.Samples) {
		return
	}
	now, begun := l.now(), l.begun.Load()
	age := time.Duration(now.UnixNano() - begun)
	if age < l.policy.Window || !l.begun.CompareAndSwap(begun, now.UnixNano()) {
		return // the window goes on, or another answer has ended it
	}
	if age <= stalest*l.policy.Window {
		seen := upstream.Window{Fastest: time.Duration(l.fastest.Load()), Peak: int(l.peak.Load())}
		l.limit.Store(int64(l.policy.Next(l.Limit(), seen)))
	}
	l.restart(now)
	if l.waiting.Load() > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.grant()
	}
}

// stalest is how many times its length a window may last until it says nothing.
const stalest = 10

func (l *limiter) restart(now time.Time) {
	l.fastest.Store(int64(time.Hour))
	l.answers.Store(0)
	l.peak.Store(l.running.Load())
	l.begun.Store(now.UnixNano())
}
