package mvnoap

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Limits of waiting: how far ahead turns are counted that may be taken, and how long an attempt waits for its turn at
// most.
const (
	readyWithin = time.Second
	maxTurnWait = 5 * time.Second
)

// rateLimiter spreads the attempts of a client evenly, so many a second. Without an interval every turn is at once. It
// is safe for concurrent use.
type rateLimiter struct {
	every time.Duration
	mu    sync.Mutex
	next  time.Time   // the first turn after all that were given
	back  []time.Time // turns that were given back and are still to come, the first of them first
}

func newRateLimiter(perSecond int) *rateLimiter {
	if perSecond <= 0 {
		return &rateLimiter{}
	}
	return &rateLimiter{every: time.Second / time.Duration(perSecond)}
}

// ready returns how many of n turns come soon.
func (p *rateLimiter) ready(n int) int {
	if p.every == 0 {
		return n
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.forget(now)
	soon := 0
	for _, at := range p.back {
		if at.Sub(now) <= readyWithin {
			soon++
		}
	}
	if wait := max(0, p.next.Sub(now)); wait <= readyWithin {
		soon += 1 + int((readyWithin-wait)/p.every)
	}
	return min(n, soon)
}

// turn waits for the next turn. It returns false when that is too far away or ctx ends first; no turn is used then. The
// wait counts against ctx's deadline.
func (p *rateLimiter) turn(ctx context.Context) bool {
	if p.every == 0 {
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	at, ok := p.take()
	if !ok {
		return false
	}
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		p.giveBack(at)
		return false
	case <-timer.C:
		return true
	}
}

// take returns the first free turn.
func (p *rateLimiter) take() (at time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.forget(now)
	if len(p.back) > 0 {
		at, p.back = p.back[0], p.back[1:]
		return at, true
	}
	at = p.next
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) > maxTurnWait {
		return at, false
	}
	p.next = at.Add(p.every)
	return at, true
}

// giveBack frees the turn for another attempt.
func (p *rateLimiter) giveBack(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, _ := slices.BinarySearchFunc(p.back, at, time.Time.Compare)
	p.back = slices.Insert(p.back, i, at)
}

// forget drops turns that were given back and are over: unused turns are not saved up. The caller holds mu.
func (p *rateLimiter) forget(now time.Time) {
	for len(p.back) > 0 && p.back[0].Before(now) {
		p.back = p.back[1:]
	}
}
