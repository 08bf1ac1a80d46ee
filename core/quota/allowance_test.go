package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/quota"
)

func TestAllowanceAdmits(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ago := func(seconds ...int) (calls []time.Time) {
		for _, s := range seconds {
			calls = append(calls, noon.Add(-time.Duration(s)*time.Second))
		}
		return calls
	}
	two := quota.Allowance{{Calls: 2, Per: time.Minute}, {Calls: 3, Per: time.Hour}}
	for name, c := range map[string]struct {
		allowance quota.Allowance
		calls     []time.Time
		wait      time.Duration
	}{
		"no limit":                        {nil, ago(3, 2, 1, 0), 0},
		"the first call":                  {two, nil, 0},
		"one is left":                     {two, ago(10), 0},
		"the minute is used up":           {two, ago(50, 10), 10 * time.Second},
		"beyond the limit":                {two, ago(50, 40, 10), time.Hour - 50*time.Second},
		"the oldest leaves now":           {two, ago(60, 10), 0},
		"the oldest leaves in an instant": {two, []time.Time{noon.Add(1 - time.Minute), noon}, 1},
		"the hour is used up":             {two, ago(3000, 2000, 1000), 600 * time.Second},
		"the longer wait counts":          {two, ago(3590, 50, 10), 10 * time.Second},
		"a debt is waited for":            {quota.Allowance{{Calls: 1, Per: time.Minute}}, ago(50, 20), 40 * time.Second},
	} {
		ok, wait := c.allowance.Admit(c.calls, noon)
		require.Equal(t, c.wait, wait, name)
		require.Equal(t, c.wait == 0, ok, name)
	}
}

func TestAllowanceCounts(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	two := quota.Allowance{{Calls: 2, Per: time.Minute}}
	require.Equal(t, []time.Time{noon}, two.Count(nil, noon))
	require.Equal(t, []time.Time{at(-5), noon}, two.Count([]time.Time{at(-10), at(-5)}, noon), "only the newest matter")
	require.Equal(t, []time.Time{noon}, two.Count([]time.Time{at(-60)}, noon), "what has left the window is dropped")
	require.Equal(t, []time.Time{at(3), at(3)}, two.Count([]time.Time{at(3)}, noon), "a clock that was set back")
	require.Equal(t, []time.Time{at(-10)}, quota.GiveBack([]time.Time{at(-10), at(-5)}))
	require.Empty(t, quota.GiveBack(nil))
}

// TestAllowanceHolds makes calls as they are admitted, at any times: no window ever holds more than its rate, and the
// wait of a refusal is exact.
func TestAllowanceHolds(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		a := quota.Allowance{
			{Calls: rapid.IntRange(1, 4).Draw(t, "calls"), Per: 10 * time.Second},
			{Calls: rapid.IntRange(1, 8).Draw(t, "more calls"), Per: time.Minute},
		}
		var kept, made []time.Time
		now := start
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "gap")) * time.Millisecond)
			ok, wait := a.Admit(kept, now)
			if !ok {
				before, _ := a.Admit(kept, now.Add(wait-1))
				after, _ := a.Admit(kept, now.Add(wait))
				require.False(t, before)
				require.True(t, after)
				continue
			}
			kept, made = a.Count(kept, now), append(made, now)
			for _, r := range a {
				n := 0
				for _, at := range made {
					if now.Sub(at) < r.Per {
						n++
					}
				}
				require.LessOrEqual(t, n, r.Calls)
			}
		}
	})
}

func TestParseAllowance(t *testing.T) {
	t.Parallel()
	for _, a := range []quota.Allowance{nil, quota.DefaultAllowance(), {{Calls: 2, Per: time.Second}}} {
		got, err := quota.ParseAllowance(a.String())
		require.NoError(t, err)
		require.Equal(t, a, got)
	}
	require.Equal(t, time.Hour, quota.DefaultAllowance().Window())
	for _, bad := range []string{"", "10", "0/1m", "-1/1m", "10/1ms", "10/25h", "10001/1m", "10/1m,", "1/1m",
		"10/1m;60/1h", "x/1m"} {
		_, err := quota.ParseAllowance(bad)
		require.Error(t, err, bad)
	}
}
