package quota_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/quota"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func second(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

func TestDefaultStaysUnderKOS(t *testing.T) {
	t.Parallel()
	w := quota.Default()
	require.Equal(t, 95, w.Budget)
	require.Equal(t, 62*time.Second, w.Per)
	require.Less(t, w.Budget, 100)
	require.Greater(t, w.Per, time.Minute)
	require.LessOrEqual(t, sum(w.Reserve), w.Budget)
}

func sum(shares quota.Shares) (total int) {
	for _, n := range shares {
		total += n
	}
	return total
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	w := quota.Window{Budget: 2, Per: 10 * time.Second}
	for name, c := range map[string]struct {
		spent []int
		now   int
		ok    bool
		wait  time.Duration
	}{
		"nothing spent":        {nil, 0, true, 0},
		"one place":            {[]int{0}, 0, true, 0},
		"full":                 {[]int{3, 0}, 4, false, 6 * time.Second},
		"a moment before":      {[]int{0, 3}, 9, false, time.Second},
		"place gets free":      {[]int{0, 3}, 10, true, 0},
		"all gone":             {[]int{0, 3}, 60, true, 0},
		"budget was lowered":   {[]int{0, 1, 2, 3}, 4, false, 8 * time.Second},
		"another clock ahead":  {[]int{5, 0}, 2, false, 8 * time.Second},
		"everything is future": {[]int{5, 6}, 2, false, 13 * time.Second},
	} {
		var spent []quota.Spent
		for _, at := range c.spent {
			spent = append(spent, quota.Spent{At: second(at), Lane: quota.Read})
		}
		ok, wait := w.Admit(spent, quota.Read, second(c.now))
		require.Equal(t, c.ok, ok, name)
		require.Equal(t, c.wait, wait, name)
	}
	ok, wait := quota.Window{Per: time.Second}.Admit(nil, quota.Read, start)
	require.False(t, ok, "no budget, no call")
	require.Equal(t, time.Second, wait)
}

func TestReservesAreKept(t *testing.T) {
	t.Parallel()
	w := quota.Window{Budget: 10, Per: 10 * time.Second, Reserve: quota.Shares{quota.Change: 3, quota.Read: 4}}
	fill := func(lane quota.Lane) (n int) {
		var spent []quota.Spent
		for {
			ok, _ := w.Admit(spent, lane, start)
			if !ok {
				return n
			}
			spent, n = append(spent, quota.Spent{At: start, Lane: lane}), n+1
		}
	}
	require.Equal(t, 6, fill(quota.Change), "all but what reads keep")
	require.Equal(t, 7, fill(quota.Read))
	require.Equal(t, 3, fill(quota.Refresh), "the common rest")
	require.Equal(t, 3, fill(quota.Prefetch), "less than half of the budget")
	greedy := quota.Window{Budget: 2, Per: time.Second, Reserve: quota.Shares{quota.Change: 3}}
	ok, wait := greedy.Admit(nil, quota.Read, start)
	require.False(t, ok)
	require.Equal(t, time.Second, wait)
}

// TestAdmitAgainstBruteForce spends by Admit at random times and lanes and counts every window by hand: none is over
// budget, a refusal is right and its wait exact, and a lane below its reserve is never refused.
func TestAdmitAgainstBruteForce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		per := rapid.IntRange(1, 8).Draw(t, "per")
		w := quota.Window{Budget: rapid.IntRange(1, 9).Draw(t, "budget"), Per: time.Duration(per) * time.Second}
		left := w.Budget
		for lane := range w.Reserve {
			w.Reserve[lane] = rapid.IntRange(0, left).Draw(t, "reserve")
			left -= w.Reserve[lane]
		}
		var spent []quota.Spent
		now := 0
		for range rapid.IntRange(1, 80).Draw(t, "asked") {
			now += rapid.IntRange(0, 3).Draw(t, "gap")
			lane := rapid.SampledFrom(quota.Lanes()).Draw(t, "lane")
			before := slices.Clone(spent)
			ok, wait := w.Admit(spent, lane, second(now))
			require.Equal(t, before, spent, "Admit only looks")
			require.Equal(t, admits(w, spent, lane, now, per), ok)
			if within(spent, now, per, lane) < w.Reserve[lane] {
				require.True(t, ok, "%s is below its reserve", lane)
			}
			if ok {
				spent = append(spent, quota.Spent{At: second(now), Lane: lane})
				continue
			}
			free := now
			for free < now+per && !admits(w, spent, lane, free, per) {
				free++ // a lane that the others' reserves leave nothing is to ask again a window later
			}
			require.Equal(t, second(free).Sub(second(now)), wait)
		}
		for from := 0; from <= now; from++ {
			n := 0
			for _, s := range spent {
				if !s.At.Before(second(from)) && s.At.Before(second(from+per)) {
					n++
				}
			}
			require.LessOrEqual(t, n, w.Budget, "window from %d s", from)
		}
	})
}

// admits says the rule the long way: the call, what is spent and what the others may still claim fit into the budget.
func admits(w quota.Window, spent []quota.Spent, lane quota.Lane, now, per int) bool {
	total := 1
	for _, l := range quota.Lanes() {
		used := within(spent, now, per, l)
		if l != lane && used < w.Reserve[l] {
			used = w.Reserve[l]
		}
		total += used
	}
	if lane == quota.Prefetch && within(spent, now, per, lane) >= w.Reserve[lane] &&
		all(spent, now, per) >= max(1, w.Budget/2) {
		return false
	}
	return total <= w.Budget
}

func all(spent []quota.Spent, now, per int) (n int) {
	for _, l := range quota.Lanes() {
		n += within(spent, now, per, l)
	}
	return n
}

func within(spent []quota.Spent, now, per int, lane quota.Lane) int {
	n := 0
	for _, s := range spent {
		if s.Lane == lane && second(now).Sub(s.At) < time.Duration(per)*time.Second {
			n++
		}
	}
	return n
}

func TestOfWhatKOSAllows(t *testing.T) {
	t.Parallel()
	for allowed, want := range map[int]int{1: 1, 2: 1, 20: 19, 100: 95, 1000: 950} {
		w := quota.Of(allowed)
		require.Equal(t, want, w.Budget, allowed)
		require.LessOrEqual(t, sum(w.Reserve), w.Budget)
		require.False(t, w.IsUnlimited())
		ok, _ := w.Admit(nil, quota.Prefetch, start)
		require.True(t, ok, "no lane is shut out")
	}
	require.Equal(t, quota.Default(), quota.Of(100))
	ok, _ := quota.Unlimited().Admit(make([]quota.Spent, 1000), quota.Change, time.Time{}.Add(time.Hour))
	require.True(t, ok)
	require.True(t, quota.Unlimited().IsUnlimited())
}

// TestPrefetchStopsWhenTheBudgetIsNeeded: ten minutes with customers who want to read all the time, and a prefetch that
// never gives up.
func TestPrefetchStopsWhenTheBudgetIsNeeded(t *testing.T) {
	t.Parallel()
	w := quota.Default().Less(4)
	var spent []quota.Spent
	var got quota.Shares
	for now := start; now.Before(second(600)); now = now.Add(100 * time.Millisecond) {
		lanes := []quota.Lane{quota.Prefetch, quota.Read}
		if now.Before(second(5)) {
			lanes = lanes[:1] // customers come five seconds later
		}
		for _, lane := range lanes {
			if ok, _ := w.Admit(spent, lane, now); ok {
				spent = append(spent, quota.Spent{At: now, Lane: lane})
				got[lane]++
			}
		}
		for len(spent) > 0 && now.Sub(spent[0].At) >= w.Per {
			spent = spent[1:]
		}
	}
	require.LessOrEqual(t, got[quota.Prefetch], w.Budget/2, "what was got before anybody came")
	require.GreaterOrEqual(t, got[quota.Read], 9*(w.Budget-w.Reserve[quota.Change]-w.Reserve[quota.Refresh])-w.Budget/2)
}

// TestApart: whatever is wished for, all floors and what is left are never more than there is.
func TestApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := quota.Of(rapid.IntRange(1, 300).Draw(t, "allowed"))
		instances, wished := rapid.IntRange(1, 100).Draw(t, "instances"), rapid.IntRange(0, 100).Draw(t, "wished")
		rest, floor := w.Apart(instances, wished)
		require.LessOrEqual(t, rest.Budget+instances*floor, w.Budget)
		require.Positive(t, rest.Budget)
		require.LessOrEqual(t, sum(rest.Reserve), rest.Budget)
		require.LessOrEqual(t, floor, wished)
		if instances*wished < w.Budget {
			require.Equal(t, wished, floor, "what fits is given")
		}
	})
	for allowed, floor := range map[int]int{1: 0, 2: 0, 4: 0, 6: 1, 100: 1} {
		_, got := quota.Of(allowed).Apart(4, 1)
		require.Equal(t, floor, got, allowed)
	}
	rest, floor := quota.Unlimited().Apart(4, 1)
	require.True(t, rest.IsUnlimited())
	require.Equal(t, 1, floor)
}

func TestLess(t *testing.T) {
	t.Parallel()
	require.Equal(
		t,
		quota.Window{Budget: 91, Per: 62 * time.Second, Reserve: quota.Default().Reserve},
		quota.Default().Less(4),
	)
	w := quota.Window{Budget: 10, Per: time.Second, Reserve: quota.Shares{4, 4, 1, 1}}
	require.Equal(t, quota.Window{Budget: 5, Per: time.Second, Reserve: quota.Shares{4, 1, 0, 0}}, w.Less(5))
	require.Equal(t, quota.Window{Budget: 1, Per: time.Second, Reserve: quota.Shares{1, 0, 0, 0}}, w.Less(50))
	require.Equal(t, w, w.Less(0))
}

func TestSqueeze(t *testing.T) {
	t.Parallel()
	w := quota.Window{Budget: 100, Per: 60 * time.Second, Reserve: quota.Shares{quota.Change: 20}}
	require.Equal(t, w, quota.Squeeze{}.In(w, start))
	s := quota.Squeeze{}.After(w, start, 0)
	require.Equal(t, quota.Squeeze{Percent: 75, Until: second(60)}, s)
	require.Equal(
		t,
		quota.Window{Budget: 75, Per: 60 * time.Second, Reserve: quota.Shares{quota.Change: 15}},
		s.In(w, second(59)),
	)
	require.Equal(t, w, s.In(w, second(60)))
	for range 9 {
		s = s.After(w, second(30), 2*time.Minute)
	}
	require.Equal(
		t,
		quota.Squeeze{Percent: 25, Until: second(150)},
		s,
		"never less than a quarter, for as long as KOS asks",
	)
	require.Equal(t, 75, s.After(w, second(150), 0).Percent, "an old squeeze is forgotten")
	asked := quota.Squeeze{}.After(w, start, 10*time.Minute)
	require.Equal(t, second(600), asked.After(w, second(1), 0).Until, "an E429 that names no time takes back none")
}

func TestLanesHaveNames(t *testing.T) {
	t.Parallel()
	var names []string
	for _, l := range quota.Lanes() {
		names = append(names, l.String())
		require.Equal(t, l, quota.LaneOf(l.String()))
	}
	require.Equal(t, []string{"change", "read", "refresh", "prefetch"}, names)
	require.Equal(t, "unknown", quota.Lane(9).String())
	require.Equal(t, quota.Read, quota.LaneOf("of another release"))
}
