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

// compartment is one of the bulkhead's: calls of one that hang take no places from the others.
type compartment uint8

const (
	billReads compartment = iota
	productReads
	changes // and finding out what became of them
	compartments
)

// Bulkhead says how many calls may be out at a time in each compartment, and how many may wait for a place.
type Bulkhead struct {
	BillReads, ProductReads, Changes int
	Waiting                          int           // in each
	Pace                             time.Duration // between two calls when the budget is spent evenly
}

// DefaultBulkhead is 8 calls in flight: 1.6 a second (the budget) that take a few seconds each.
func DefaultBulkhead() Bulkhead {
	w := quota.Default()
	return Bulkhead{BillReads: 3, ProductReads: 3, Changes: 2, Waiting: 64, Pace: w.Per / time.Duration(w.Budget)}
}

// errFull is the cause of a call that found no place to wait.
var errFull = errors.New("kos: too many calls wait already")

// turnstile lets calls out one by one: who waits is served by lane, within a lane fairly between lines (a customer has few lines, and asks
// for one at a time; who he is the turnstile does not know, nor does whoever renews a copy), when its compartment has a place
// and the quota a call. Waiting ends with the caller's deadline, or as soon as it is known to be in vain; the answer then says
// honestly when to come again. Who asks on nobody's behalf (refresh, prefetch) holds nobody up: patience. It is safe for concurrent use.
type turnstile struct {
	quota ports.Quota
	most  [compartments]int
	queue int
	pace  time.Duration

	mu      sync.Mutex
	out     [compartments]int
	blocked [len(quota.Shares{})]time.Time // a lane: the quota has no call for it before then
	refusal [len(quota.Shares{})]error     // what the quota said
	invited [len(quota.Shares{})]time.Time // a lane: when the last of those sent away was told to come again
	waiting []*ticket
	served  map[line.Number]int // since the queue was last empty
	busy    bool                // a dispatcher runs
	wake    chan struct{}
}

// ticket is one caller who waits.
type ticket struct {
	lane   quota.Lane
	room   compartment
	who    line.Number
	ctx    context.Context // over when he has left, or when it is too late to serve him
	latest time.Time       // ctx's deadline; zero = none
	answer chan error
	fate   fate
}

// fate is what has become of a ticket that no longer waits.
type fate uint8

const (
	pending fate = iota
	served       // answer holds the word
	gone         // nobody waits for an answer
)

// patience is how long a refresh waits for its turn. There is a copy to show instead, and somebody may be waiting behind this caller for
// what it was to bring. A prefetch waits for nothing: it is served at once or told when to come again.
const patience = 500 * time.Millisecond

func newTurnstile(q ports.Quota, b Bulkhead) *turnstile {
	return &turnstile{
		quota: q, queue: b.Waiting, pace: b.Pace, served: map[line.Number]int{}, wake: make(chan struct{}, 1),
		most: [compartments]int{billReads: b.BillReads, productReads: b.ProductReads, changes: b.Changes},
	}
}

// pass waits for leave to make one call, which needs so much time, and answers the function that says that it is over; or
// SERVICE_UNAVAILABLE with ErrNotAsked and an honest Retry-After; or ctx's error. Who would have less time left than the call needs is
// not served: it would cost a call of the budget and bring nothing.
func (t *turnstile) pass(
	ctx context.Context, lane quota.Lane, room compartment, who line.Number, need time.Duration,
) (over func(), err error) {
	ctx, cancel := untilTooLate(ctx, lane, need)
	defer cancel()
	mine := &ticket{lane: lane, room: room, who: who, ctx: ctx, answer: make(chan error, 1)}
	mine.latest, _ = ctx.Deadline()
	if err := t.enter(ctx, mine); err != nil {
		return nil, err
	}
	select {
	case err = <-mine.answer:
	case <-ctx.Done():
		if !t.leave(mine) {
			return nil, t.inVain(ctx, lane)
		}
		err = <-mine.answer // it has just been served
	}
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { t.returned(room) }), nil
}

// untilTooLate is the context of waiting.
func untilTooLate(ctx context.Context, lane quota.Lane, need time.Duration) (context.Context, context.CancelFunc) {
	latest, limited := ctx.Deadline()
	if limited {
		latest = latest.Add(-need)
	}
	if until := time.Now().Add(patience); lane == quota.Refresh && (!limited || until.Before(latest)) {
		latest, limited = until, true
	}
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, latest)
}

// inVain is what to tell a caller whose time is over; nobody needs to tell one who hung up.
func (t *turnstile) inVain(ctx context.Context, lane quota.Lane) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	why := t.refusal[lane]
	if !t.blocked[lane].After(time.Now()) {
		why = ctx.Err()
	}
	return t.sendAway(lane, why)
}

// sendAway is an honest answer for somebody of the lane who is not served now, in the order of those who were sent away before him: when
// the quota has a call for the lane, those who wait here have had theirs, and those who were told to come again have come. It is an
// estimate: other instances spend of the same budget. The caller holds mu.
func (t *turnstile) sendAway(lane quota.Lane, why error) error {
	now := time.Now()
	soonest := now.Add(max(t.pace, t.wait(lane, now)))
	if next := t.invited[lane].Add(t.pace); next.After(soonest) {
		soonest = next
	}
	if end := now.Add(farthest); soonest.After(end) {
		soonest = end
	}
	t.invited[lane] = soonest
	return fault.New(fault.ServiceUnavailable).RetryIn(soonest.Sub(now)).Because(errors.Join(ports.ErrNotAsked, why))
}

// farthest bounds what callers are told: later than that nobody knows, and those told before may not come at all.
const farthest = 5 * time.Minute

// wait is how long somebody who asked now would wait in the lane: until the quota has a call for it, and for those before him at the pace
// of the budget. The caller holds mu.
func (t *turnstile) wait(lane quota.Lane, now time.Time) time.Duration {
	ahead := 0
	for _, c := range t.waiting {
		if c.lane <= lane {
			ahead++
		}
	}
	return max(0, t.blocked[lane].Sub(now)) + time.Duration(ahead)*t.pace
}

func (t *turnstile) enter(ctx context.Context, mine *ticket) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	queued := 0
	for _, other := range t.waiting {
		if other.room == mine.room {
			queued++
		}
	}
	if queued >= t.queue {
		return t.sendAway(mine.lane, errFull)
	}
	t.waiting = append(t.waiting, mine)
	if t.busy {
		t.stir()
		return nil
	}
	t.busy = true
	go t.dispatch(context.WithoutCancel(ctx))
	return nil
}

// stir makes the dispatcher look again.
func (t *turnstile) stir() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// leave gives a ticket up, also while the quota is being asked about it; true when it has been served all the same.
func (t *turnstile) leave(mine *ticket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.fate == served {
		return true
	}
	mine.fate = gone
	t.waiting = slices.DeleteFunc(t.waiting, func(other *ticket) bool { return other == mine })
	return false
}

// tell answers a ticket. The caller holds mu.
func (c *ticket) tell(word error) {
	c.fate = served
	c.answer <- word
}

func (t *turnstile) returned(room compartment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out[room]--
	t.stir()
}

// dispatch serves the queue until it is empty. It is the only one that asks the quota, so that nobody overtakes.
func (t *turnstile) dispatch(ctx context.Context) {
	for {
		next, pause, empty := t.next()
		switch {
		case empty:
			return
		case next != nil:
			t.serve(ctx, next)
			continue
		}
		var timer <-chan time.Time // without a pause only a return or an arrival changes anything
		if pause > 0 {
			timer = time.After(pause)
		}
		select {
		case <-timer:
		case <-t.wake:
		}
	}
}

// next picks whom to serve and takes a place in his compartment. When there is nobody to serve it answers how long that is so at
// least; 0 = until something happens.
func (t *turnstile) next() (chosen *ticket, pause time.Duration, empty bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now() // the clock of the deadlines
	t.dismiss(now)
	best, pause := t.best(now)
	if best < 0 && t.hurryAway(now) {
		best, pause = t.best(now)
	}
	if len(t.waiting) == 0 {
		t.busy = false
		clear(t.served)
		return nil, 0, true
	}
	if best < 0 {
		return nil, pause, false
	}
	chosen = t.waiting[best]
	t.waiting = slices.Delete(t.waiting, best, best+1)
	t.out[chosen.room]++
	return chosen, 0, false
}

// best is the place in the queue of whom to serve, or -1 and when the first blocked lane is free.
func (t *turnstile) best(now time.Time) (best int, pause time.Duration) {
	best = -1
	for i, c := range t.waiting { // in order of arrival
		until := t.blocked[c.lane].Sub(now)
		switch {
		case until > 0 && (pause == 0 || until < pause):
			pause = until
		case until > 0 || t.out[c.room] >= t.places(c):
		case best < 0 || t.before(c, t.waiting[best]):
			best = i
		}
	}
	return best, pause
}

// places is how many of his compartment's places the caller may see taken. The last one is kept for somebody for whom a customer waits.
func (t *turnstile) places(c *ticket) int {
	if c.lane >= quota.Refresh {
		return max(1, t.most[c.room]-1)
	}
	return t.most[c.room]
}

// dismiss tells those who would wait in vain when to come again.
func (t *turnstile) dismiss(now time.Time) {
	t.sendAwayThose(func(c *ticket) (error, bool) {
		switch {
		case c.latest.IsZero():
			return nil, false
		case t.blocked[c.lane].After(c.latest):
			return t.refusal[c.lane], true
		default:
			return context.DeadlineExceeded, now.After(c.latest)
		}
	})
}

// hurryAway tells the prefetches when to come again: nobody can be served at this moment, and they do not wait.
func (t *turnstile) hurryAway(now time.Time) (some bool) {
	return t.sendAwayThose(func(c *ticket) (error, bool) {
		if t.blocked[c.lane].After(now) {
			return t.refusal[c.lane], c.lane == quota.Prefetch
		}
		return errBusy, c.lane == quota.Prefetch
	})
}

// sendAwayThose empties the queue of those whom unlucky names, with the cause; in the order of arrival, behind those who stay.
func (t *turnstile) sendAwayThose(unlucky func(*ticket) (why error, is bool)) (some bool) {
	var away []*ticket
	var causes []error
	t.waiting = slices.DeleteFunc(t.waiting, func(c *ticket) bool {
		why, is := unlucky(c)
		if is {
			away, causes = append(away, c), append(causes, why)
		}
		return is
	})
	for i, c := range away {
		c.tell(t.sendAway(c.lane, causes[i]))
	}
	return len(away) > 0
}

// errBusy is the cause of a prefetch that would have had to wait for a place in its compartment.
var errBusy = errors.New("kos: busy with calls that are more urgent")

// outlook answers how many wait in each lane, and how long somebody who asked now would wait there: until the quota has a call for the
// lane, and for those before him at the pace of the budget. It is an estimate: calls of other instances are unknown until they are made.
func (t *turnstile) outlook() (waiting quota.Shares, eta [len(quota.Shares{})]time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for _, c := range t.waiting {
		waiting[c.lane]++
	}
	for i := range waiting {
		eta[i] = t.wait(quota.Lane(i), now)
	}
	return waiting, eta
}

// before is the order of service: the more urgent lane, then the line that was served less.
func (t *turnstile) before(a, b *ticket) bool {
	if a.lane != b.lane {
		return a.lane < b.lane
	}
	return t.served[a.who] < t.served[b.who]
}

// serve asks the quota for the ticket's call. When there is none the lane is blocked until there may be one, and the ticket waits on. A
// caller who leaves meanwhile ends the asking; should the call be his already, the next of his lane gets it.
func (t *turnstile) serve(ctx context.Context, c *ticket) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	err := t.quota.Take(asking, c.lane)
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.fate == gone {
		t.out[c.room]--
		if c = t.heir(c.lane); err != nil || c == nil {
			return
		}
		t.waiting = slices.DeleteFunc(t.waiting, func(other *ticket) bool { return other == c })
		t.out[c.room]++
	}
	if err == nil {
		t.served[c.who]++
		c.tell(nil)
		return
	}
	t.out[c.room]--
	t.waiting = slices.Insert(t.waiting, 0, c)
	if c.ctx.Err() == nil { // else it is not the quota that spoke
		t.blocked[c.lane], t.refusal[c.lane] = time.Now().Add(max(shortest, fault.From(err).RetryAfter())), err
	}
}

// heir is who takes over a call that was got for somebody who has left.
func (t *turnstile) heir(lane quota.Lane) (next *ticket) {
	for _, c := range t.waiting {
		if c.lane == lane && c.ctx.Err() == nil && t.out[c.room] < t.places(c) && (next == nil || t.before(c, next)) {
			next = c
		}
	}
	return next
}

// shortest is how long a lane is left alone after a refusal, whatever the ledger says.
const shortest = 10 * time.Millisecond
