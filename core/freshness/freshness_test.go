package freshness_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/freshness"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	t.Parallel()
	l := freshness.Limits{Soft: time.Hour, Hard: 24 * time.Hour}
	for name, c := range map[string]struct {
		age   time.Duration
		epoch time.Time
		want  freshness.State
	}{
		"just now":           {0, time.Time{}, freshness.Fresh},
		"clock ahead":        {-time.Minute, time.Time{}, freshness.Fresh},
		"last fresh instant": {time.Hour - 1, time.Time{}, freshness.Fresh},
		"soft":               {time.Hour, time.Time{}, freshness.Stale},
		"last stale instant": {24*time.Hour - 1, time.Time{}, freshness.Stale},
		"hard":               {24 * time.Hour, time.Time{}, freshness.Gone},
		"before the change":  {time.Minute, now.Add(-time.Minute + 1), freshness.Gone},
		"at the change":      {time.Minute, now.Add(-time.Minute), freshness.Fresh},
		"after the change":   {time.Minute, now.Add(-time.Minute - 1), freshness.Fresh},
	} {
		require.Equal(t, c.want, l.Decide(now.Add(-c.age), c.epoch, now), name)
	}
	require.Equal(t, freshness.Gone, l.Decide(time.Time{}, time.Time{}, now), "never fetched")
}

func TestLimitsOfTheProduct(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	require.Equal(t, freshness.Limits{Soft: time.Hour, Hard: 7 * day}, freshness.Bill)
	require.Equal(t, freshness.Limits{Soft: 4 * time.Hour, Hard: 7 * day}, freshness.Customer)
	require.Equal(t, freshness.Limits{Soft: day, Hard: 30 * day}, freshness.PlanList)
	require.Equal(t, freshness.Stale, freshness.Bill.Decide(now.Add(-time.Hour), time.Time{}, now))
	require.Equal(t, freshness.Gone, freshness.PlanCheck.Decide(now.Add(-time.Minute), time.Time{}, now), "never stale for a change")
}

// TestDecideAgainstAModel walks a copy through its life second by second.
func TestDecideAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.IntRange(0, 20)
		soft, hard := seconds.Draw(t, "soft"), seconds.Draw(t, "hard")
		epoch, age := seconds.Draw(t, "epoch"), seconds.Draw(t, "age")
		fetched := now.Add(-time.Duration(age) * time.Second)
		l := freshness.Limits{Soft: time.Duration(soft) * time.Second, Hard: time.Duration(hard) * time.Second}
		want := freshness.Fresh
		for s := 0; s <= age; s++ {
			switch {
			case s >= soft && s >= hard:
				want = freshness.Gone
			case s >= soft:
				want = freshness.Stale
			}
		}
		if age > epoch {
			want = freshness.Gone
		}
		require.Equal(t, want, l.Decide(fetched, now.Add(-time.Duration(epoch)*time.Second), now))
	})
}
