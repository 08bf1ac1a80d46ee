package kos

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/quota"
	"phonebill/ports"
)

// compartment is a part of the bulkhead: calls of one that hang take no places from the others.
type compartment uint8

const (
	billReads compartment = iota + 1
	productReads
	changes // and status queries
	compartments
)

// Bulkhead limits the calls in flight in each compartment, and the callers that wait for a place.
type Bulkhead struct {
	BillReads, ProductReads, Changes int
	Waiting                          int           // in each compartment
	Interval                         time.Duration // between two calls when the budget is spent evenly
}

// DefaultBulkhead returns 8 calls in flight: 1.6 a second (the budget) that take a few seconds each.
func DefaultBulkhead() Bulkhead {
	w := quota.Default()
	return Bulkhead{BillReads: 3, ProductReads: 3, Changes: 2, Waiting: 64, Interval: w.Per / time.Duration(w.Budget)}
}

// errFull is the cause of a call that found no place to wait.
var errFull = errors.New("kos: too many calls wait already")

// errBusy is the cause of a prefetch that would have had to wait for a place in its compartment.
var errBusy = errors.New("kos: busy with calls that are more urgent")

const (
	// refreshTimeout is how long a refresh waits for its turn: there is a copy to show instead, and a customer may be
	// waiting for the refresh to end. A prefetch does not wait: it is admitted or rejected at once.
	refreshTimeout = 500 * time.Millisecond
	// maxRetryAfter bounds the Retry-After of a rejection: later than that nothing can be foreseen, and callers that
	// were rejected earlier may not come back at all.
	maxRetryAfter = 5 * time.Minute
	// minBlock is how long a lane is not tried again after the quota refused it, whatever the quota says.
	minBlock = 10 * time.Millisecond
)

// rateLimiter admits calls one by one. Waiting callers are admitted by lane; within a lane fairly between lines (a
// customer has few lines, and the limiter does not know the customer); when the compartment has a place and the quota a
// call. Waiting ends at the caller's deadline, or as soon as it is certain to be in vain; the rejection then carries an
// estimate of when to come again. Refreshes and prefetches delay no one: see refreshTimeout. A rateLimiter is safe for
// concurrent use.
type rateLimiter struct {
	quota      ports.Quota
	limits     [compartments]int
	maxWaiting int           // per compartment
	interval   time.Duration // between two calls when the budget is spent evenly

	mu           sync.Mutex
	inFlight     [compartments]int
	blockedUntil [len(quota.Shares{})]time.Time // of a lane: the quota has no call for it before then
	refusal      [len(quota.Shares{})]error     // of a lane: the quota's last refusal
	lastRetryAt  [len(quota.Shares{})]time.Time // of a lane: the end of the Retry-After given last
	waiting      []*waiter
	admitted     map[line.Number]int // calls per line since the queue was last empty
	dispatching  bool                // a dispatcher runs
	wake         chan struct{}
}

// waiter is a caller that waits to be admitted.
type waiter struct {
	lane        quota.Lane
	compartment compartment
	line        line.Number
	ctx         context.Context // over when the caller is gone, or when it is too late to admit it
	deadline    time.Time       // of ctx; zero = none
	result      chan error      // nil = admitted
	state       waiterState
}

type waiterState uint8

const (
	pending waiterState = iota
	decided             // result holds the decision
	gone                // the caller no longer waits for a decision
)

func newRateLimiter(q ports.Quota, b Bulkhead) *rateLimiter {
	return &rateLimiter{
		quota: q, maxWaiting: b.Waiting, interval: b.Interval, admitted: map[line.Number]int{},
		wake:   make(chan struct{}, 1),
		limits: [compartments]int{billReads: b.BillReads, productReads: b.ProductReads, changes: b.Changes},
	}
}

// acquire waits until one call may be made, and returns the function that ends it. Otherwise it returns
// SERVICE_UNAVAILABLE with ports.ErrNotAsked and a Retry-After, or ctx's error when the caller gave up. needed is how
// long the call takes: a caller that would have less time left is rejected, because its call would spend budget and
// could not be answered in time.
func (l *rateLimiter) acquire(
	ctx context.Context, lane quota.Lane, room compartment, about line.Number, needed time.Duration,
) (release func(), err error) {
	ctx, cancel := waitingContext(ctx, lane, needed)
	defer cancel()
	w := &waiter{lane: lane, compartment: room, line: about, ctx: ctx, result: make(chan error, 1)}
	w.deadline, _ = ctx.Deadline()
	if err := l.enqueue(ctx, w); err != nil {
		return nil, err
	}
	select {
	case err = <-w.result:
	case <-ctx.Done():
		if !l.abandon(w) {
			return nil, l.waitedInVain(ctx, lane)
		}
		err = <-w.result // decided at the same moment
	}
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { l.release(room) }), nil
}

// waitingContext returns the context of waiting: it ends when there would be less than needed left for the call, and
// for a refresh after refreshTimeout at the latest.
func waitingContext(ctx context.Context, lane quota.Lane, needed time.Duration) (context.Context, context.CancelFunc) {
	latest, limited := ctx.Deadline()
	if limited {
		latest = latest.Add(-needed)
	}
	if until := time.Now().Add(refreshTimeout); lane == quota.Refresh && (!limited || until.Before(latest)) {
		latest, limited = until, true
	}
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, latest)
}

// waitedInVain returns the rejection of a caller whose time is over, or ctx's error when the caller gave up.
func (l *rateLimiter) waitedInVain(ctx context.Context, lane quota.Lane) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	why := l.refusal[lane]
	if !l.blockedUntil[lane].After(time.Now()) {
		why = ctx.Err()
	}
	return l.rejection(lane, why)
}

// rejection returns the error for a caller of the lane that is not admitted now. Its Retry-After puts the caller behind
// those rejected earlier: by then the quota has a call for the lane, those who wait here have had theirs, and those
// rejected earlier have come again. It is an estimate: other instances spend of the same budget. The caller holds mu.
func (l *rateLimiter) rejection(lane quota.Lane, why error) error {
	now := time.Now()
	retryAt := now.Add(max(l.interval, l.expectedWait(lane, now)))
	if next := l.lastRetryAt[lane].Add(l.interval); next.After(retryAt) {
		retryAt = next
	}
	if end := now.Add(maxRetryAfter); retryAt.After(end) {
		retryAt = end
	}
	l.lastRetryAt[lane] = retryAt
	return fault.New(fault.ServiceUnavailable).RetryIn(retryAt.Sub(now)).Because(errors.Join(ports.ErrNotAsked, why))
}

// expectedWait returns how long a caller that came now would wait in the lane: until the quota has a call for it, and
// for those ahead at the rate of the budget. The caller holds mu.
func (l *rateLimiter) expectedWait(lane quota.Lane, now time.Time) time.Duration {
	ahead := 0
	for _, w := range l.waiting {
		if w.lane <= lane {
			ahead++
		}
	}
	return max(0, l.blockedUntil[lane].Sub(now)) + time.Duration(ahead)*l.interval
}

// enqueue adds a waiter and makes sure that a dispatcher runs. It returns a rejection when too many wait already.
func (l *rateLimiter) enqueue(ctx context.Context, w *waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	queued := 0
	for _, other := range l.waiting {
		if other.compartment == w.compartment {
			queued++
		}
	}
	if queued >= l.maxWaiting {
		return l.rejection(w.lane, errFull)
	}
	l.waiting = append(l.waiting, w)
	if l.dispatching {
		l.wakeDispatcher()
		return nil
	}
	l.dispatching = true
	go l.dispatch(context.WithoutCancel(ctx))
	return nil
}

func (l *rateLimiter) wakeDispatcher() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// abandon removes a waiter, also while the quota is being asked for it. It returns true when the waiter has been
// decided all the same; then its result must be read.
func (l *rateLimiter) abandon(w *waiter) (isDecided bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.state == decided {
		return true
	}
	w.state = gone
	l.waiting = slices.DeleteFunc(l.waiting, func(other *waiter) bool { return other == w })
	return false
}

// decide sends the waiter its result. The caller holds the limiter's mu.
func (w *waiter) decide(result error) {
	w.state = decided
	w.result <- result
}

func (l *rateLimiter) release(room compartment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight[room]--
	l.wakeDispatcher()
}

// dispatch admits waiters until the queue is empty. It is the only one that asks the quota, so that no caller overtakes
// another.
func (l *rateLimiter) dispatch(ctx context.Context) {
	for {
		next, pause, empty := l.next()
		switch {
		case empty:
			return
		case next != nil:
			l.admit(ctx, next)
			continue
		}
		var timer <-chan time.Time // without a pause only a release or an arrival changes anything
		if pause > 0 {
			timer = time.After(pause)
		}
		select {
		case <-timer:
		case <-l.wake:
		}
	}
}

// next takes the waiter to admit off the queue and a place in its compartment. When there is none to admit, it returns
// how long that will be so at least; 0 = until something happens.
func (l *rateLimiter) next() (chosen *waiter, pause time.Duration, empty bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now() // the clock of the deadlines
	l.rejectHopeless(now)
	best, pause := l.best(now)
	if best < 0 && l.rejectPrefetches(now) {
		best, pause = l.best(now)
	}
	if len(l.waiting) == 0 {
		l.dispatching = false
		clear(l.admitted)
		return nil, 0, true
	}
	if best < 0 {
		return nil, pause, false
	}
	chosen = l.waiting[best]
	l.waiting = slices.Delete(l.waiting, best, best+1)
	l.inFlight[chosen.compartment]++
	return chosen, 0, false
}

// best returns the index of the waiter to admit, or -1 and how long until the first blocked lane is free.
func (l *rateLimiter) best(now time.Time) (best int, pause time.Duration) {
	best = -1
	for i, w := range l.waiting { // in order of arrival
		until := l.blockedUntil[w.lane].Sub(now)
		switch {
		case until > 0 && (pause == 0 || until < pause):
			pause = until
		case until > 0 || l.inFlight[w.compartment] >= l.limitFor(w):
		case best < 0 || l.before(w, l.waiting[best]):
			best = i
		}
	}
	return best, pause
}

// limitFor returns how many calls may be in flight in the waiter's compartment with its own. The last place is kept for
// calls that a customer waits for.
func (l *rateLimiter) limitFor(w *waiter) int {
	if w.lane >= quota.Refresh {
		return max(1, l.limits[w.compartment]-1)
	}
	return l.limits[w.compartment]
}

// rejectHopeless rejects the waiters whose deadline is over or comes before their lane has a call.
func (l *rateLimiter) rejectHopeless(now time.Time) {
	l.reject(func(w *waiter) (error, bool) {
		switch {
		case w.deadline.IsZero():
			return nil, false
		case l.blockedUntil[w.lane].After(w.deadline):
			return l.refusal[w.lane], true
		default:
			return context.DeadlineExceeded, now.After(w.deadline)
		}
	})
}

// rejectPrefetches rejects the prefetches, which do not wait, when no waiter can be admitted now. It reports whether
// there were any.
func (l *rateLimiter) rejectPrefetches(now time.Time) (some bool) {
	return l.reject(func(w *waiter) (error, bool) {
		if l.blockedUntil[w.lane].After(now) {
			return l.refusal[w.lane], w.lane == quota.Prefetch
		}
		return errBusy, w.lane == quota.Prefetch
	})
}

// reject removes the waiters that match and rejects them for the returned reason, in order of arrival, counting those
// who stay as ahead of them. It reports whether there were any.
func (l *rateLimiter) reject(match func(*waiter) (why error, matches bool)) (some bool) {
	var rejected []*waiter
	var reasons []error
	l.waiting = slices.DeleteFunc(l.waiting, func(w *waiter) bool {
		why, matches := match(w)
		if matches {
			rejected, reasons = append(rejected, w), append(reasons, why)
		}
		return matches
	})
	for i, w := range rejected {
		w.decide(l.rejection(w.lane, reasons[i]))
	}
	return len(rejected) > 0
}

// outlook returns how many callers wait in each lane, and how long one that came now would wait there. The durations
// are estimates: calls of other instances are unknown until they are made.
func (l *rateLimiter) outlook() (waiting quota.Shares, eta [len(quota.Shares{})]time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, w := range l.waiting {
		waiting[w.lane]++
	}
	for i := range waiting {
		eta[i] = l.expectedWait(quota.Lane(i), now)
	}
	return waiting, eta
}

// before reports whether a is admitted before b: the more urgent lane first, then the line with fewer admitted calls.
func (l *rateLimiter) before(a, b *waiter) bool {
	if a.lane != b.lane {
		return a.lane < b.lane
	}
	return l.admitted[a.line] < l.admitted[b.line]
}

// admit takes a call of the quota for the waiter. When the quota refuses, the lane is blocked until there may be a
// call, and the waiter goes back to the head of the queue. A caller that leaves meanwhile ends the request to the
// quota; if the call was granted already, the next waiter of the lane gets it.
func (l *rateLimiter) admit(ctx context.Context, w *waiter) {
	taking, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	err := l.quota.Take(taking, w.lane)
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.state == gone {
		l.inFlight[w.compartment]--
		if w = l.successor(w.lane); err != nil || w == nil {
			return
		}
		l.waiting = slices.DeleteFunc(l.waiting, func(other *waiter) bool { return other == w })
		l.inFlight[w.compartment]++
	}
	if err == nil {
		l.admitted[w.line]++
		w.decide(nil)
		return
	}
	l.inFlight[w.compartment]--
	l.waiting = slices.Insert(l.waiting, 0, w)
	if w.ctx.Err() == nil { // else the caller ended the request, not the quota
		l.blockedUntil[w.lane] = time.Now().Add(max(minBlock, fault.From(err).RetryAfter()))
		l.refusal[w.lane] = err
	}
}

// successor returns the waiter that takes over a call granted to one that has left; nil when there is none.
func (l *rateLimiter) successor(lane quota.Lane) (next *waiter) {
	for _, w := range l.waiting {
		if w.lane == lane && w.ctx.Err() == nil && l.inFlight[w.compartment] < l.limitFor(w) &&
			(next == nil || l.before(w, next)) {
			next = w
		}
	}
	return next
}
