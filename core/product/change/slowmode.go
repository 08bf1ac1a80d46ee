package change

import (
	"sync"
	"time"

	"phonebill/core/id"
	"phonebill/core/product"
)

// trialInterval is how long the begun orders of this process pause between two trials of a KOS that does not answer:
// three questions a minute when each is given up after 10 s. With the longest gap of one order it keeps to S-RECOVERY:
// final 60 s after KOS answers again.
const trialInterval = 10 * time.Second

// slowMode limits how fast the begun orders of this process are carried on: each when it is due; one at a time, with
// a pause in between, from when KOS has not answered about two different orders, one after the other, until it answers
// about any. So a KOS that hangs is asked as often for ten thousand orders as for ten, and each has its turn, for the
// longest due goes first. One line alone says nothing about KOS. The zero value is full speed; it is safe for
// concurrent use.
type slowMode struct {
	mu         sync.Mutex
	unanswered id.ID     // the order that KOS did not answer about last; zero when it has answered since
	slow       bool      // one order at a time
	until      time.Time // no order before
}

// admit returns how many orders may be taken now, of n. In slow mode a caller that is admitted keeps all others
// waiting, for the lease at most, until it reports.
func (m *slowMode) admit(n int, now time.Time, lease time.Duration) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.slow:
		return n
	case now.Before(m.until):
		return 0
	}
	m.until = now.Add(lease)
	return min(n, 1)
}

// report records what came of the orders that were admitted.
func (m *slowMode) report(steps []step, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := false
	for _, s := range steps {
		switch s.contact() {
		case answered:
			m.unanswered, m.slow = id.ID{}, false
			return
		case noAnswer:
			m.slow = m.slow || !m.unanswered.IsZero() && m.unanswered != s.after.ID
			m.unanswered, rest = s.after.ID, true
		case notSent: // KOS cannot even be asked: no reason to go slow, and none to go fast
			rest = true
		case notAsked:
		}
	}
	m.until = now
	if rest {
		m.until = now.Add(trialInterval)
	}
}

// contact is whether KOS has answered about an order in one step.
type contact uint8

const (
	notAsked contact = iota // KOS was not to be asked
	notSent                 // the question, or the change, never left
	noAnswer                // KOS was asked and did not answer
	answered                // KOS answered
)

// step is an order before and after it was carried on.
type step struct{ before, after product.Order }

func (s step) contact() contact {
	switch {
	case s.before.State == product.Dispatched: // asked about next time
		return notAsked
	case s.after.State == product.Completed, s.after.State == product.Failed,
		s.before.State == product.Unknown && s.after.State == product.Validated:
		return answered
	case s.before.State == product.Validated && s.after.State == product.Unknown: // Send has begun to count anew
		return noAnswer
	case s.after.State == product.Unknown && s.after.Silences != s.before.Silences:
		return noAnswer
	case s.after.State == product.Parked:
		return notAsked // by what the line's plans show, or for its age
	default:
		return notSent
	}
}
