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
	require.Equal(t, quota.Window{Budget: 95, Per: 62 * time.Second}, w)
	require.Less(t, w.Budget, 100)
	require.Greater(t, w.Per, time.Minute)
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	w := quota.Window{Budget: 2, Per: 10 * time.Second}
	for name, c := range map[string]struct {
		spent []time.Time
		now   int
		ok    bool
		wait  time.Duration
	}{
		"nothing spent":        {nil, 0, true, 0},
		"one place":            {[]time.Time{second(0)}, 0, true, 0},
		"full":                 {[]time.Time{second(3), second(0)}, 4, false, 6 * time.Second},
		"a moment before":      {[]time.Time{second(0), second(3)}, 9, false, time.Second},
		"place gets free":      {[]time.Time{second(0), second(3)}, 10, true, 0},
		"all gone":             {[]time.Time{second(0), second(3)}, 60, true, 0},
		"budget was lowered":   {[]time.Time{second(0), second(1), second(2), second(3)}, 4, false, 8 * time.Second},
		"another clock ahead":  {[]time.Time{second(5), second(0)}, 2, false, 8 * time.Second},
		"everything is future": {[]time.Time{second(5), second(6)}, 2, false, 13 * time.Second},
	} {
		ok, wait := w.Admit(c.spent, second(c.now))
		require.Equal(t, c.ok, ok, name)
		require.Equal(t, c.wait, wait, name)
	}
	ok, wait := quota.Window{Per: time.Second}.Admit(nil, start)
	require.False(t, ok, "no budget, no call")
	require.Equal(t, time.Second, wait)
}

// TestAdmitAgainstBruteForce spends by Admit at random times and counts every window by hand; a refusal must be right, its wait
// must be exact.
func TestAdmitAgainstBruteForce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		per := rapid.IntRange(1, 8).Draw(t, "per")
		w := quota.Window{Budget: rapid.IntRange(1, 5).Draw(t, "budget"), Per: time.Duration(per) * time.Second}
		var spent []time.Time
		now := 0
		for range rapid.IntRange(1, 60).Draw(t, "asked") {
			now += rapid.IntRange(0, 3).Draw(t, "gap")
			before := slices.Clone(spent)
			ok, wait := w.Admit(spent, second(now))
			require.Equal(t, before, spent, "Admit only looks")
			require.Equal(t, within(spent, now, per) < w.Budget, ok)
			if ok {
				spent = append(spent, second(now))
				continue
			}
			free := now
			for within(spent, free, per) >= w.Budget {
				free++
			}
			require.Equal(t, second(free).Sub(second(now)), wait)
		}
		for from := 0; from <= now; from++ {
			n := 0
			for _, at := range spent {
				if !at.Before(second(from)) && at.Before(second(from+per)) {
					n++
				}
			}
			require.LessOrEqual(t, n, w.Budget, "window from %d s", from)
		}
	})
}

func within(spent []time.Time, now, per int) int {
	n := 0
	for _, at := range spent {
		if second(now).Sub(at) < time.Duration(per)*time.Second {
			n++
		}
	}
	return n
}

func TestOfWhatKOSAllows(t *testing.T) {
	t.Parallel()
	for allowed, want := range map[int]int{1: 1, 2: 1, 20: 19, 100: 95, 1000: 950} {
		require.Equal(t, quota.Window{Budget: want, Per: 62 * time.Second}, quota.Of(allowed), allowed)
		require.False(t, quota.Of(allowed).IsUnlimited())
	}
	require.Equal(t, quota.Default(), quota.Of(100))
	ok, _ := quota.Unlimited().Admit(make([]time.Time, 1000), time.Time{}.Add(time.Hour))
	require.True(t, ok)
	require.True(t, quota.Unlimited().IsUnlimited())
}
