package change

import (
	"sync"
	"time"

	"phonebill/core/id"
	"phonebill/core/product"
)

// trialRest is how long the begun orders of this process rest between two trials of a KOS that tells nothing: three questions a minute when
// each is given up after 10 s. With the longest gap of one order it keeps to S-RECOVERY: final 60 s after KOS answers again.
const trialRest = 10 * time.Second

// pace is how fast the begun orders of this process are carried on: each when it is due; one at a time, with a rest in between, from when
// KOS has told nothing of two different orders, one after the other, until it tells something of any. So a silent KOS is asked as often for
// ten thousand orders as for ten, and each has its turn, for the longest due goes first. One line alone says nothing about KOS. The zero
// value is full speed; it is safe for concurrent use.
type pace struct {
	mu     sync.Mutex
	silent id.ID     // the order that KOS told nothing of last; zero when it has told something since
	slow   bool      // one at a time
	until  time.Time // and none before
}

// let answers how many orders may be taken now, of n. Whoever is let take one when it is slow keeps all others waiting, for the lease at
// most, until he has told how it went.
func (p *pace) let(n int, now time.Time, lease time.Duration) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.slow:
		return n
	case now.Before(p.until):
		return 0
	}
	p.until = now.Add(lease)
	return min(n, 1)
}

// went notes how it went with orders that were let be taken.
func (p *pace) went(taken []step, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := false
	for _, s := range taken {
		switch s.told() {
		case something:
			p.silent, p.slow = id.ID{}, false
			return
		case nothing:
			p.slow = p.slow || !p.silent.IsZero() && p.silent != s.after.ID
			p.silent, rest = s.after.ID, true
		case kept: // KOS cannot even be asked: no reason to go slow, and none to go fast
			rest = true
		case unasked:
		}
	}
	p.until = now
	if rest {
		p.until = now.Add(trialRest)
	}
}

// telling is what KOS told of an order in one step.
type telling uint8

const (
	unasked   telling = iota // nobody asked
	kept                     // the question, or the change, never left
	nothing                  // it was asked and told nothing
	something                // it told what is
)

// step is an order before and after it was carried on.
type step struct{ before, after product.Order }

func (s step) told() telling {
	switch {
	case s.before.State == product.Dispatched: // asked about next time
		return unasked
	case s.after.State == product.Completed, s.after.State == product.Rejected,
		s.before.State == product.Unknown && s.after.State == product.Validated:
		return something
	case s.before.State == product.Validated && s.after.State == product.Unknown: // Send has begun to count anew
		return nothing
	case s.after.State == product.Unknown && s.after.Reconciles != s.before.Reconciles:
		return nothing
	case s.after.State == product.Parked:
		return unasked // by what the line's plans show, or for its age
	default:
		return kept
	}
}
