package mvnoap

import (
	"context"
	"sync"
	"time"
)

// Of a paced client: how far ahead turns are counted that may be taken, and how long an attempt waits for its turn at most.
const (
	paceAhead   = time.Second
	longestTurn = 5 * time.Second
)

// pace spreads the attempts of a client evenly, so many a second. Without an interval everybody's turn is at once. It is safe for
// concurrent use.
type pace struct {
	every time.Duration
	mu    sync.Mutex
	next  time.Time // the first turn that nobody has
}

func newPace(perSecond int) *pace {
	if perSecond <= 0 {
		return &pace{}
	}
	return &pace{every: time.Second / time.Duration(perSecond)}
}

// ready is how many of n turns come soon.
func (p *pace) ready(n int) int {
	if p.every == 0 {
		return n
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := max(0, time.Until(p.next))
	if wait > paceAhead {
		return 0
	}
	return min(n, 1+int((paceAhead-wait)/p.every))
}

// turn waits for the next turn. It is false when that is too far away or ctx ends first; none is taken then.
func (p *pace) turn(ctx context.Context) bool {
	if p.every == 0 {
		return true
	}
	p.mu.Lock()
	now := time.Now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) > longestTurn {
		p.mu.Unlock()
		return false
	}
	p.next = at.Add(p.every)
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(at)):
		return true
	}
}
