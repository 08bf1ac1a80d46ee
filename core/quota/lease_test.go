package quota_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/quota"
)

// rule is what the simulation runs: the rule itself, or a mutant with one part of it broken.
type rule struct {
	ledger quota.Leases // by which the ledger grants and counts
	rest   func(quota.Window, []quota.Lease, time.Time) quota.Window
	hold   func(before quota.Hold, granted quota.Lease, asked, answered time.Time) quota.Hold
	open   func(quota.Hold, time.Time) bool
}

// simulatedLife is short, so that leases expire often within a run.
const simulatedLife = 100 * time.Second

func simulatedWindow() quota.Window { return quota.Window{Budget: 12, Per: 62 * time.Second} }

func soundRule() rule {
	w := simulatedWindow()
	r := quota.Leases{Places: 3, Calls: 3, Budget: w.Budget, Life: simulatedLife, Per: w.Per}
	return rule{ledger: r, rest: r.Rest, hold: r.Hold, open: quota.Hold.Open}
}

// message is a request for a lease on its way to the ledger, or the answer on its way back.
type message struct {
	arrives  time.Time
	asked    time.Time // by the clock of the process
	answer   bool
	granted  quota.Lease
	accepted bool
}

// process is one process: its clock runs at its own rate, and it may be cut off from the ledger.
type process struct {
	id    string
	rate  float64
	cut   bool
	hold  quota.Hold
	spent []quota.Spent // of its floor
	next  time.Time     // when it asks for its lease again
	mail  []message
}

// world is one run of the simulation: processes that call as often as they may, and one ledger.
type world struct {
	rule   rule
	window quota.Window
	random *rand.Rand
	start  time.Time
	now    time.Time
	away   bool // the ledger is
	held   []quota.Lease
	spent  []quota.Spent // of the ledger
	all    []*process
	ids    int
	calls  []time.Time
}

func (w *world) fresh() *process {
	w.ids++
	// At most 500 parts in a million fast or slow.
	return &process{id: strconv.Itoa(w.ids), rate: 1 + (w.random.Float64()-0.5)/1000}
}

// own is what the clock of the process says.
func (w *world) own(p *process) time.Time {
	return w.start.Add(time.Duration(float64(w.now.Sub(w.start)) * p.rate))
}

// one in n.
func (w *world) one(n int) bool { return w.random.IntN(n) == 0 }

// second lets a second pass: the network fails and heals, processes crash or stop and are replaced, mail arrives, and
// every process calls.
func (w *world) second() {
	w.away = w.away != w.one(120)
	for i, p := range w.all {
		p.cut = p.cut != w.one(60)
		if w.one(200) {
			if !p.cut && !w.away && w.one(2) { // it stops in order; else it crashes
				w.held = w.rule.ledger.GiveBack(w.held, p.id, w.now)
			}
			p = w.fresh()
			w.all[i] = p
		}
		w.deliver(p)
		w.ask(p)
		w.call(p)
	}
}

// delay is how long a message travels: no time, or up to a minute.
func (w *world) delay() time.Duration {
	if w.one(2) {
		return time.Duration(w.random.IntN(60)) * time.Second
	}
	return 0
}

func (w *world) ask(p *process) {
	if own := w.own(p); !own.Before(p.next) {
		p.next = own.Add(w.rule.ledger.Every())
		p.mail = append(p.mail, message{arrives: w.now.Add(w.delay()), asked: own})
		w.deliver(p)
	}
}

// deliver delivers what arrives now. While the process is cut off or the ledger is away all that arrives is lost, and
// an answer may be lost at any time.
func (w *world) deliver(p *process) {
	var later []message
	for _, m := range p.mail {
		if m.arrives.After(w.now) {
			later = append(later, m)
			continue
		}
		if p.cut || w.away {
			continue
		}
		if !m.answer {
			m.answer, m.arrives = true, w.now.Add(w.delay())
			w.held, m.granted, m.accepted = w.rule.ledger.Grant(w.held, p.id, w.now)
			if w.one(4) {
				continue
			}
			if m.arrives.After(w.now) {
				later = append(later, m)
				continue
			}
		}
		if m.accepted {
			p.hold = w.rule.hold(p.hold, m.granted, m.asked, w.own(p))
		} else {
			p.hold = quota.Hold{}
		}
	}
	p.mail = later
}

func (w *world) call(p *process) {
	for {
		if !p.cut && !w.away {
			if ok, _ := w.rule.rest(w.window, w.held, w.now).Admit(w.spent, quota.Read, w.now); !ok {
				return
			}
			w.spent = append(w.spent, quota.Spent{At: w.now, Lane: quota.Read})
		} else {
			own, floor := w.own(p), quota.Window{Budget: p.hold.Lease.Calls, Per: w.window.Per}
			if !w.rule.open(p.hold, own) || !w.one(20) { // late as well as early in the lease
				return
			}
			if ok, _ := floor.Admit(p.spent, quota.Read, own); !ok {
				return
			}
			p.spent = append(p.spent, quota.Spent{At: own, Lane: quota.Read})
		}
		w.calls = append(w.calls, w.now)
	}
}

// run simulates a quarter of an hour. most is the most calls in any 60 s, floors how many were calls of floors.
func run(seed uint64, r rule) (most, floors int) {
	start := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	w := &world{rule: r, window: simulatedWindow(), random: rand.New(rand.NewPCG(seed, 1)), start: start}
	for range 4 { // one more than there are places
		w.all = append(w.all, w.fresh())
	}
	for second := range 900 {
		w.now = start.Add(time.Duration(second) * time.Second)
		w.second()
		w.spent = slices.DeleteFunc(w.spent, func(s quota.Spent) bool { return w.now.Sub(s.At) >= w.window.Per })
	}
	for first, last := 0, 0; last < len(w.calls); last++ {
		for w.calls[last].Sub(w.calls[first]) >= time.Minute {
			first++
		}
		most = max(most, last-first+1)
	}
	for _, p := range w.all {
		floors += len(p.spent)
	}
	return most, floors
}

// seeds is how many worlds a run simulates: 300, or what SIMULATION_SEEDS says (`make verify` and `make drills`,
// without the race detector).
func seeds(t *testing.T) uint64 {
	t.Helper()
	if os.Getenv("SIMULATION_SEEDS") == "" {
		return 300
	}
	n, err := strconv.ParseUint(os.Getenv("SIMULATION_SEEDS"), 10, 32)
	require.NoError(t, err)
	return n
}

// TestFloorsAndLedgerStayWithinTheBudget simulates processes that are cut off, crash, stop and are replaced, with
// clocks of different rates, a ledger that goes away and comes back, and messages that are late or lost.
func TestFloorsAndLedgerStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	floors := 0
	for seed := range seeds(t) {
		most, spent := run(seed, soundRule())
		require.LessOrEqual(t, most, simulatedWindow().Budget, "seed %d", seed)
		floors += spent
	}
	require.Positive(t, floors, "floors are spent at all")
}

// TestTheSimulationCatchesABrokenRule: each part of the rule is needed, and without it some seed goes over the budget.
func TestTheSimulationCatchesABrokenRule(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*rule){
		"a place is given out again at once after the expiry": func(r *rule) {
			r.ledger.Per = 0
			r.rest = r.ledger.Rest
		},
		"a floor is open at once after the grant": func(r *rule) {
			eager := r.ledger
			eager.Per = 0
			r.hold = eager.Hold
		},
		"the lease is measured from the answer": func(r *rule) {
			r.ledger.Places = 1 // else floors of others that are not spent mostly hide it
			sound := r.hold
			r.rest = r.ledger.Rest
			r.hold = func(before quota.Hold, granted quota.Lease, _, answered time.Time) quota.Hold {
				return sound(before, granted, answered, answered)
			}
		},
		"a new grant is taken for a renewal": func(r *rule) {
			sound := r.hold
			r.hold = func(before quota.Hold, granted quota.Lease, asked, answered time.Time) quota.Hold {
				h := sound(before, granted, asked, answered)
				if before.Lease.Calls > 0 {
					h.Opens = before.Opens
				}
				return h
			}
		},
		"a floor is spent after its lease": func(r *rule) {
			r.open = func(h quota.Hold, now time.Time) bool { return h.Lease.Calls > 0 && !now.Before(h.Opens) }
		},
		"the ledger's budget does not follow the leases": func(r *rule) {
			r.rest = func(w quota.Window, _ []quota.Lease, _ time.Time) quota.Window { return w }
		},
		"there is no end of places": func(r *rule) {
			r.ledger.Places, r.ledger.Budget = 100, 100
			r.rest = r.ledger.Rest
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mutant := soundRule()
			breaks(&mutant)
			for seed := range uint64(3000) {
				if most, _ := run(seed, mutant); most > simulatedWindow().Budget {
					return
				}
			}
			t.Fatal("no seed went over the budget")
		})
	}
}

func TestALeaseIsGivenOutAgainOneWindowAfterItsExpiry(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	rule := quota.Leases{Places: 1, Calls: 2, Budget: 10, Life: 10 * time.Minute, Per: time.Minute}
	w := quota.Window{Budget: 10, Per: time.Minute}
	held, first, ok := rule.Grant(nil, "a", at)
	require.True(t, ok)
	require.Equal(t, 8, rule.Rest(w, held, at).Budget)

	held, renewed, ok := rule.Grant(held, "a", at.Add(time.Minute))
	require.True(t, ok)
	require.Equal(t, first.Granted, renewed.Granted)
	require.Equal(t, at.Add(11*time.Minute), renewed.Expires)

	free := renewed.Expires.Add(time.Minute)
	_, _, ok = rule.Grant(held, "b", free.Add(-1))
	require.False(t, ok)
	require.Equal(t, 8, rule.Rest(w, held, free.Add(-1)).Budget)
	require.Equal(t, 10, rule.Rest(w, held, free).Budget)
	_, _, ok = rule.Grant(held, "b", free)
	require.True(t, ok)

	held = rule.GiveBack(held, "a", at.Add(2*time.Minute))
	_, _, ok = rule.Grant(held, "b", at.Add(3*time.Minute-1))
	require.False(t, ok)
	_, _, ok = rule.Grant(held, "b", at.Add(3*time.Minute))
	require.True(t, ok, "one window after it was given back")
}

func TestAHoldEndsBeforeTheLeaseAndOpensOnce(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	rule := quota.Leases{Places: 1, Calls: 2, Budget: 10, Life: 10 * time.Minute, Per: time.Minute}
	lease := quota.Lease{Holder: "a", Calls: 2, Granted: at, Expires: at.Add(rule.Life)}
	h := rule.Hold(quota.Hold{}, lease, at, at.Add(time.Second))
	opens := at.Add(time.Minute + time.Second)
	require.False(t, h.Open(opens.Add(-1)))
	require.True(t, h.Open(opens))
	require.True(t, h.Open(at.Add(rule.Life-1)))
	require.False(t, h.Open(at.Add(rule.Life)))
	h = rule.Hold(h, lease, opens, opens.Add(time.Second))
	require.True(t, h.Open(opens), "a renewal does not close it")
	lease.Granted = opens
	require.False(t, rule.Hold(h, lease, opens, opens).Open(opens), "a new grant opens one window later")
}

// TestGrantsLeaveTheLedgerACall: processes with other settings may hold larger floors.
func TestGrantsLeaveTheLedgerACall(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	held := []quota.Lease{{Holder: "other", Calls: 7, Granted: at, Expires: at.Add(time.Hour)}}
	rule := quota.Leases{Places: 4, Calls: 2, Budget: 10, Life: 10 * time.Minute, Per: time.Minute}
	held, _, ok := rule.Grant(held, "a", at)
	require.True(t, ok)
	require.Equal(t, 9, quota.Leased(held))
	_, _, ok = rule.Grant(held, "b", at)
	require.False(t, ok)
	require.Equal(t, 1, rule.Rest(quota.Window{Budget: 10, Per: time.Minute}, held, at).Budget)
	_, renewed, ok := rule.Grant(held, "other", at)
	require.True(t, ok)
	require.Equal(t, at.Add(time.Hour), renewed.Expires, "a renewal with a shorter life takes nothing away")
}
