package quota_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/quota"
)

// simulated is one process: its clock runs at its own rate, and it may be cut off from the ledger.
type simulated struct {
	id     string
	rate   float64
	cut    bool
	hold   quota.Hold
	spent  []quota.Spent
	nextAt time.Time
}

// mostCalls returns the most calls in any 60 s of a run in which every process calls as often as it may.
func mostCalls(seed uint64, ledger, holder quota.Leases, w quota.Window) (most int) {
	random := rand.New(rand.NewPCG(seed, 1))
	start := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	var held []quota.Lease
	var spent []quota.Spent
	var calls []time.Time
	ids := 0
	fresh := func() *simulated {
		ids++
		return &simulated{id: strconv.Itoa(ids), rate: 1 + (random.Float64()-0.5)/1000}
	}
	all := []*simulated{fresh(), fresh(), fresh(), fresh()}
	away := false
	for second := range 900 {
		now := start.Add(time.Duration(second) * time.Second)
		away = away != (random.IntN(120) == 0)
		for i, p := range all {
			p.cut = p.cut != (random.IntN(60) == 0)
			if random.IntN(200) == 0 {
				if !p.cut && !away && random.IntN(2) == 0 {
					held = ledger.GiveBack(held, p.id, now)
				}
				p = fresh()
				all[i] = p
			}
			own := start.Add(time.Duration(float64(now.Sub(start)) * p.rate))
			reached := !p.cut && !away
			if reached && !own.Before(p.nextAt) {
				p.nextAt = own.Add(holder.Life / 10)
				var granted quota.Lease
				var ok bool
				held, granted, ok = ledger.Grant(held, p.id, now)
				if ok && random.IntN(4) > 0 { // else the answer is lost
					p.hold = holder.Hold(p.hold, granted, own, own)
				} else if !ok {
					p.hold = quota.Hold{}
				}
			}
			for {
				if reached {
					if ok, _ := ledger.Rest(w, held, now).Admit(spent, quota.Read, now); !ok {
						break
					}
					spent = append(spent, quota.Spent{At: now, Lane: quota.Read})
				} else {
					floor := quota.Window{Budget: p.hold.Lease.Calls, Per: w.Per}
					if ok, _ := floor.Admit(p.spent, quota.Read, own); !ok || !p.hold.Open(own) {
						break
					}
					p.spent = append(p.spent, quota.Spent{At: own, Lane: quota.Read})
				}
				calls = append(calls, now)
			}
		}
	}
	for first, last := 0, 0; last < len(calls); last++ {
		for calls[last].Sub(calls[first]) >= time.Minute {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

func TestFloorsAndLedgerStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	w := quota.Window{Budget: 12, Per: 62 * time.Second}
	rule := quota.Leases{Places: 3, Calls: 3, Life: 100 * time.Second, Per: w.Per}
	noWait, opensAtOnce := rule, rule
	noWait.Per, opensAtOnce.Per = 0, 0
	caughtEarlyEnd, caughtEarlyStart := 0, 0
	for seed := range uint64(1000) {
		require.LessOrEqual(t, mostCalls(seed, rule, rule, w), w.Budget, "seed %d", seed)
		if seed < 200 && mostCalls(seed, noWait, rule, w) > w.Budget {
			caughtEarlyEnd++
		}
		if seed < 200 && mostCalls(seed, rule, opensAtOnce, w) > w.Budget {
			caughtEarlyStart++
		}
	}
	require.Positive(t, caughtEarlyEnd, "a ledger that does not wait one window after the expiry is caught")
	require.Positive(t, caughtEarlyStart, "a holder that does not wait one window after the grant is caught")
}

func TestALeaseIsGivenOutAgainOneWindowAfterItsExpiry(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	rule := quota.Leases{Places: 1, Calls: 2, Life: 10 * time.Minute, Per: time.Minute}
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
	rule := quota.Leases{Places: 1, Calls: 2, Life: 10 * time.Minute, Per: time.Minute}
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
