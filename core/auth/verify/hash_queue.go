package verify

import (
	"context"
	"slices"
	"sync"
	"time"

	"phonebill/core/fault"
)

const (
	queueTimeout = 3 * time.Second // the longest wait for a turn
	retryAfter   = 2 * time.Second // Retry-After of a request that got none
	// maxPerKey is how many may wait with one key: about as many as get a turn within queueTimeout when nothing else
	// waits.
	maxPerKey = 64
	// maxWaiting is how many may wait together. At the limit, a key with fewer displaces the newest of the key with the
	// most.
	maxWaiting = 1024
	// fairShare: every so many turns, one goes to the others, however many known devices wait.
	fairShare = 4
)

// HashQueue lets few requests hash passwords at a time. Hashes are made one after the other anyway; without turns, the
// many that wait for one would share the machine with all reads. Requests of known devices go before the others, which
// get every fourth turn; within either class the keys take turns, so that a key with a hundred waiting delays another
// by one hash and not by a hundred. It is safe for concurrent use.
type HashQueue struct {
	mu     sync.Mutex
	free   int
	known  line
	others line
	ahead  int // turns in a row that known devices got while others waited
}

// NewHashQueue returns a queue for that many hashes at a time.
func NewHashQueue(most int) *HashQueue { return &HashQueue{free: most} }

// HashRequest is a request that waits.
type HashRequest struct {
	Key   string // shares turns with requests of the same key: an address, or an account
	Known bool   // it comes from a known device of the account
}

// Take waits for a turn and returns a function that gives it back, once; or SERVICE_UNAVAILABLE with a Retry-After
// after 3 s, when ctx ends, or at once when too many wait. A free turn is given also when ctx has ended: a guess of a
// client that hung up is judged.
func (q *HashQueue) Take(ctx context.Context, r HashRequest) (back func(), err error) {
	w := q.join(r)
	timer := time.NewTimer(queueTimeout)
	defer timer.Stop()
	select {
	case <-w.turn:
		return sync.OnceFunc(q.next), nil
	default:
	}
	select {
	case <-w.turn:
		return sync.OnceFunc(q.next), nil
	case <-w.refused:
	case <-timer.C:
	case <-ctx.Done():
	}
	if q.stopWaiting(r, w) {
		return sync.OnceFunc(q.next), nil
	}
	return nil, fault.New(fault.ServiceUnavailable).RetryIn(retryAfter)
}

// waiter is one request. Each channel is closed at most once, under the lock: turn when its turn has come, refused when
// too many wait.
type waiter struct{ turn, refused chan struct{} }

func (q *HashQueue) line(r HashRequest) *line {
	if r.Known {
		return &q.known
	}
	return &q.others
}

func (q *HashQueue) join(r HashRequest) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &waiter{turn: make(chan struct{}), refused: make(chan struct{})}
	l := q.line(r)
	switch {
	case q.free > 0:
		q.free--
		close(w.turn)
	case !l.room(r.Key):
		close(w.refused)
	default:
		l.add(r.Key, w)
	}
	return w
}

// next gives the turn on.
func (q *HashQueue) next() {
	q.mu.Lock()
	defer q.mu.Unlock()
	overtaken := q.others.total > 0
	if !overtaken || q.ahead < fairShare-1 {
		if w := q.known.first(); w != nil {
			if overtaken {
				q.ahead++
			}
			close(w.turn)
			return
		}
	}
	q.ahead = 0
	if w := q.others.first(); w != nil {
		close(w.turn)
		return
	}
	q.free++
}

// stopWaiting returns true when the turn has come meanwhile; else the request waits no more.
func (q *HashQueue) stopWaiting(r HashRequest, w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.turn:
		return true
	default:
	}
	q.line(r).drop(r.Key, w)
	return false
}

// line is the requests of one class. order has each key that waits once, the next one first.
type line struct {
	order   []string
	waiting map[string][]*waiter
	total   int
}

// room returns true when one more may wait with the key, and makes the room if need be.
func (l *line) room(key string) bool {
	if len(l.waiting[key]) >= maxPerKey {
		return false
	}
	if l.total < maxWaiting {
		return true
	}
	longest := key
	for other, all := range l.waiting {
		if len(all) > len(l.waiting[longest])+1 {
			longest = other
		}
	}
	if longest == key {
		return false
	}
	all := l.waiting[longest]
	newest := all[len(all)-1]
	close(newest.refused)
	l.drop(longest, newest)
	return true
}

func (l *line) add(key string, w *waiter) {
	if l.waiting == nil {
		l.waiting = map[string][]*waiter{}
	}
	if len(l.waiting[key]) == 0 {
		l.order = append(l.order, key)
	}
	l.waiting[key] = append(l.waiting[key], w)
	l.total++
}

// first takes the request whose turn it is out of the line; its key goes to the end.
func (l *line) first() *waiter {
	if len(l.order) == 0 {
		return nil
	}
	key := l.order[0]
	w := l.waiting[key][0]
	l.drop(key, w)
	if len(l.order) > 0 && l.order[0] == key {
		l.order = append(l.order[1:], key)
	}
	return w
}

// drop takes the request out of the line, if it is there.
func (l *line) drop(key string, w *waiter) {
	all := l.waiting[key]
	i := slices.Index(all, w)
	if i < 0 {
		return
	}
	l.total--
	if len(all) > 1 {
		l.waiting[key] = slices.Delete(all, i, i+1)
		return
	}
	delete(l.waiting, key)
	if at := slices.Index(l.order, key); at >= 0 {
		l.order = slices.Delete(l.order, at, at+1)
	}
}
