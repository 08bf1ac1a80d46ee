package ratelimit_test

import (
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/ratelimit"
)

// world is several instances and the window that they share, under virtual time.
type world struct {
	policy  ratelimit.Policy
	shared  ratelimit.Window
	all     []*instance
	now     time.Time
	queue   []event
	rnd     *rand.Rand
	delay   time.Duration // the longest way to the shared window, and back
	away    bool          // the shared window cannot be asked
	lost    float64       // the part of trips that fail, half of them after they were carried out
	refused int
	passed  []time.Time
	trips   int
	seq     int
}

type event struct {
	at  time.Time
	seq int
	do  func()
}

// instance is a bucket with what an adapter does about it: one trip at a time, others wait for it.
type instance struct {
	name      string
	bucket    ratelimit.Bucket
	waiting   int
	traveling bool
}

func (w *world) at(t time.Time, do func()) {
	w.seq++
	e := event{t, w.seq, do}
	n := sort.Search(len(w.queue), func(i int) bool { return w.queue[i].at.After(t) })
	w.queue = slices.Insert(w.queue, n, e)
}

func (w *world) run() {
	for len(w.queue) > 0 {
		e := w.queue[0]
		w.queue = w.queue[1:]
		w.now = e.at
		e.do()
	}
}

func (w *world) way() time.Duration {
	if w.delay == 0 {
		return 0
	}
	return time.Duration(w.rnd.Int64N(int64(w.delay)))
}

func (w *world) request(i *instance) {
	d, ask := i.bucket.Take(w.policy, w.now, len(w.all))
	switch {
	case ask:
		i.waiting++
		w.travel(i)
	default:
		w.note(d)
	}
}

func (w *world) note(d ratelimit.Decision) {
	if d.OK {
		w.passed = append(w.passed, w.now)
	} else {
		w.refused++
	}
}

// fail ends a trip without an answer: who waited is decided without it.
func (w *world) fail(i *instance, trip ratelimit.Trip) {
	i.traveling = false
	i.bucket.Fail(trip)
	for ; i.waiting > 0; i.waiting-- {
		w.note(i.bucket.Fallback(w.policy, w.now, len(w.all)))
	}
}

func (w *world) travel(i *instance) {
	if i.traveling {
		return
	}
	i.traveling = true
	trip := i.bucket.Begin(w.policy, w.now, i.waiting)
	trip.Sender = i.name
	w.trips++
	w.at(w.now.Add(w.way()), func() {
		lost := w.rnd.Float64() < w.lost
		if w.away || lost && w.rnd.IntN(2) == 0 {
			w.fail(i, trip)
			return
		}
		state := w.shared.Apply(w.policy.Slots(), trip, w.now)
		w.at(w.now.Add(w.way()), func() {
			if lost {
				w.fail(i, trip)
				return
			}
			i.traveling = false
			i.bucket.End(w.policy, trip, state, w.now)
			for range i.waiting {
				d, ask := i.bucket.Take(w.policy, w.now, len(w.all))
				if ask {
					break
				}
				i.waiting--
				w.note(d)
			}
			if i.waiting > 0 {
				w.travel(i)
			}
		})
	})
}

func (w *world) settle(every time.Duration, until time.Time) {
	for _, i := range w.all {
		for at := w.now.Add(time.Duration(w.rnd.Int64N(int64(every)))); at.Before(until); at = at.Add(every) {
			w.at(at, func() {
				if i.bucket.Due(w.now) {
					w.travel(i)
				}
			})
		}
	}
}

// most returns how many requests passed at most in any window.
func most(passed []time.Time, window time.Duration) (n int) {
	first := 0
	for last := range passed {
		for passed[last].Sub(passed[first]) >= window {
			first++
		}
		n = max(n, last-first+1)
	}
	return n
}

var start = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func newWorld(p ratelimit.Policy, instances int, seed uint64, delay time.Duration) *world {
	w := &world{policy: p, now: start, rnd: rand.New(rand.NewPCG(seed, 1)), delay: delay}
	for n := range instances {
		w.all = append(w.all, &instance{name: strconv.Itoa(n)})
	}
	return w
}

// arrivals returns requests of one caller: some rate, with bursts and pauses.
func arrivals(rnd *rand.Rand, perSecond float64, burst int, long time.Duration) (at []time.Time) {
	for t := start; t.Before(start.Add(long)); {
		gap := time.Duration(rnd.ExpFloat64() / perSecond * float64(burst) * float64(time.Second))
		t = t.Add(gap)
		for range burst {
			at = append(at, t.Add(time.Duration(rnd.Int64N(int64(5*time.Millisecond)))))
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// alone returns what one limiter with the policy lets pass of the arrivals.
func alone(p ratelimit.Policy, at []time.Time) (passed int) {
	var one ratelimit.Window
	for _, t := range at {
		passed += one.Apply(p.Slots(), ratelimit.Trip{Quota: p.Quota, Want: 1}, t).Granted
	}
	return passed
}

// TestAllInstancesKeepTheBound is the bound of docs/rate-limits.md: over all instances no window has more than 110 % of
// the quota, and the whole is at most 110 % of what one limiter lets pass, and not much less.
func TestAllInstancesKeepTheBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := ratelimit.Policy{
			Quota:  rapid.SampledFrom([]int{1, 5, 20, 100, 100, 500, 2000}).Draw(t, "quota"),
			Window: time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second,
		}
		instances := rapid.IntRange(1, 4).Draw(t, "instances")
		delay := time.Duration(rapid.IntRange(0, 20).Draw(t, "delay")) * time.Millisecond
		w := newWorld(p, instances, rapid.Uint64().Draw(t, "seed"), delay)
		times := rapid.SampledFrom([]float64{0.3, 0.9, 1.1, 2, 10}).Draw(t, "times the limit")
		perSecond := times * float64(p.Quota) / p.Window.Seconds()
		burst := rapid.SampledFrom([]int{1, 1, 3, 40}).Draw(t, "burst")
		long := min(3*p.Window, time.Duration(3_000/perSecond*float64(time.Second)))
		at := arrivals(w.rnd, perSecond, burst, long)
		skewed := rapid.Bool().Draw(t, "one instance gets most")
		for n, when := range at {
			i := w.all[n%instances]
			if skewed && w.rnd.IntN(10) > 0 {
				i = w.all[0]
			}
			w.at(when, func() { w.request(i) })
		}
		w.settle(50*time.Millisecond, start.Add(long+time.Second))
		w.run()
		single := alone(p, at)
		require.LessOrEqual(t, 10*most(w.passed, p.Window), 11*p.Quota, "in any window")
		require.LessOrEqual(t, 10*len(w.passed), 11*single+10, "in all")
		require.GreaterOrEqual(t, 100*len(w.passed), 85*single-200, "in all, of %d", single)
		if p.Quota >= 1000 {
			require.Less(t, w.trips, len(at)/5+3*(1+int(long/(50*time.Millisecond)))*instances, "trips for %d requests", len(at))
		}
	})
}

// TestAnOutageKeepsItsBound has the shared window away for some time: while it is away all instances together let pass
// what their shares allow, and in a window in which it goes or comes at most twice the quota.
func TestAnOutageKeepsItsBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := ratelimit.Policy{Quota: rapid.SampledFrom([]int{1, 5, 100, 500}).Draw(t, "quota"), Window: 2 * time.Second}
		instances := rapid.IntRange(1, 4).Draw(t, "instances")
		w := newWorld(p, instances, rapid.Uint64().Draw(t, "seed"), 5*time.Millisecond)
		const long = 12 * time.Second
		perSecond := 10 * float64(p.Quota) / p.Window.Seconds()
		for _, when := range arrivals(w.rnd, perSecond, 1, long) {
			i := w.all[w.rnd.IntN(instances)]
			w.at(when, func() { w.request(i) })
		}
		from := start.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "from")) * time.Millisecond)
		to := from.Add(time.Duration(rapid.IntRange(1, 6000).Draw(t, "for")) * time.Millisecond)
		w.at(from, func() { w.away = true })
		w.at(to, func() { w.away = false })
		w.settle(50*time.Millisecond, start.Add(long))
		w.run()
		require.LessOrEqual(t, most(w.passed, p.Window), 2*p.Quota+instances+p.Quota/10)
		var during []time.Time
		for _, at := range w.passed {
			if at.After(from.Add(p.Window)) && at.Before(to) {
				during = append(during, at)
			}
		}
		require.LessOrEqual(t, most(during, p.Window), instances*p.Share(instances), "once the window has passed as a whole")
		require.NotEmpty(t, w.passed)
	})
}

// TestLostAnswersCostNobodyARequest has a caller stay well below the limit while many answers of the shared window are
// lost: each request is counted once all the same, and none is refused.
func TestLostAnswersCostNobodyARequest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := ratelimit.Policy{Quota: rapid.SampledFrom([]int{20, 100, 2000}).Draw(t, "quota"), Window: 10 * time.Second}
		instances := rapid.IntRange(1, 4).Draw(t, "instances")
		w := newWorld(p, instances, rapid.Uint64().Draw(t, "seed"), 20*time.Millisecond)
		w.lost = rapid.Float64Range(0, 0.9).Draw(t, "lost")
		const long = 40 * time.Second
		gap := p.Window * 10 / time.Duration(6*p.Quota) // 60 % of the limit
		sent := 0
		for at := start; at.Before(start.Add(long)); at = at.Add(gap) {
			i := w.all[sent%instances]
			w.at(at, func() { w.request(i) })
			sent++
		}
		w.settle(10*time.Millisecond, start.Add(long+p.Window))
		w.at(start.Add(long), func() { w.lost = 0 })
		counted := 0
		w.at(start.Add(long+time.Second), func() {
			counted = w.shared.Apply(p.Slots(), ratelimit.Trip{Quota: p.Quota}, w.now).Used
		})
		w.run()
		require.Zero(t, w.refused)
		require.Len(t, w.passed, sent)
		since := 0 // that must still count
		for _, at := range w.passed {
			if at.After(start.Add(long + time.Second - p.Window)) {
				since++
			}
		}
		require.GreaterOrEqual(t, counted, since)
		require.LessOrEqual(t, 10*counted, 11*since+10*(2+p.Quota/50), "once each, and blocks that are held")
	})
}
