package freshness_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/fault"
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
		require.Equal(t, c.want, l.Decide(now.Add(-c.age), c.epoch, now, 0.999), name)
	}
	require.Equal(t, freshness.Gone, l.Decide(time.Time{}, time.Time{}, now, 0), "never fetched")
}

func TestLimitsOfTheProduct(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		limits     freshness.Limits
		soft, hard time.Duration
	}{
		"bill":       {freshness.Bill, time.Hour, 7 * day},
		"customer":   {freshness.Customer, 4 * time.Hour, 7 * day},
		"status":     {freshness.Status, 30 * time.Minute, 7 * day},
		"plan list":  {freshness.PlanList, day, 30 * day},
		"plan check": {freshness.PlanCheck, time.Minute, time.Minute},
	} {
		require.Equal(t, c.soft, c.limits.Soft, name)
		require.Equal(t, c.hard, c.limits.Hard, name)
		require.Less(t, c.limits.RefreshAhead, c.soft/20, name)
		require.NotEqual(t, freshness.Gone, c.limits.Decide(now.Add(1-c.hard), time.Time{}, now, 0), name)
		require.Equal(t, freshness.Gone, c.limits.Decide(now.Add(-c.hard), time.Time{}, now, 0), name)
	}
	require.Equal(t, freshness.Fresh, freshness.Final.Decide(now.AddDate(-99, 0, 0), time.Time{}, now, 0.999999))
}

func TestWhatIsNeverFresh(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]freshness.State{
		-time.Hour: freshness.Stale, 0: freshness.Stale, 7*24*time.Hour - 1: freshness.Stale,
		7 * 24 * time.Hour: freshness.Gone,
	} {
		require.Equal(t, want, freshness.Bill.NeverFresh().Decide(now.Add(-age), time.Time{}, now, 0.99), age)
		require.Equal(t, freshness.Gone, freshness.PlanCheck.NeverFresh().Decide(now.Add(-age), time.Time{}, now, 0.99), age)
		require.Equal(t, freshness.Gone, freshness.Nothing.Decide(now.Add(-age), time.Time{}, now, 0.99), age)
	}
}

// TestDecideAgainstAModel walks a copy through its life second by second.
func TestDecideAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.IntRange(0, 20)
		soft, hard, early := seconds.Draw(t, "soft"), seconds.Draw(t, "hard"), seconds.Draw(t, "early")
		epoch, age, rnd := seconds.Draw(t, "epoch"), seconds.Draw(t, "age"), rapid.Float64Range(0, 0.9999).Draw(t, "rnd")
		fetched := now.Add(-time.Duration(age) * time.Second)
		l := freshness.Limits{
			Soft: time.Duration(soft) * time.Second, Hard: time.Duration(hard) * time.Second,
			RefreshAhead: time.Duration(early) * time.Second,
		}
		want := freshness.Fresh
		for s := 0; s <= age; s++ {
			switch {
			case s >= soft && s >= hard:
				want = freshness.Gone
			case s >= soft:
				want = freshness.Stale
			case early > 0 && math.Exp(-float64(soft-s)/float64(early)) >= 1-rnd: // the chance of being so early
				want = freshness.RefreshDue
			}
		}
		if age > epoch {
			want = freshness.Gone
		}
		require.Equal(t, want, l.Decide(fetched, now.Add(-time.Duration(epoch)*time.Second), now, rnd))
	})
}

// TestOneOfManyIsEarly plays readers of one copy, ten a second: all but a few of the copies are renewed before they are
// old, and none is renewed much too early.
func TestOneOfManyIsEarly(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	renewed := 0
	for range 200 {
		for age := time.Duration(0); age < freshness.Bill.Soft; age += 100 * time.Millisecond {
			if freshness.Bill.Decide(now.Add(-age), time.Time{}, now, rnd.Float64()) == freshness.RefreshDue {
				renewed++
				require.Greater(t, age, freshness.Bill.Soft-15*time.Minute)
				break
			}
		}
	}
	require.GreaterOrEqual(t, renewed, 199)
	require.Equal(t, freshness.Fresh, freshness.Bill.Decide(now.Add(-30*time.Minute), time.Time{}, now, 0.99))
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	refused := freshness.Outcome{Refusal: fault.BillNotFound, At: now, For: 30 * time.Second}
	require.Equal(t, refused, freshness.RefusedBy(fault.BillNotFound, now))
	require.Equal(t, freshness.Outcome{At: now}, freshness.Stored(now))
	for before, ms := range []int{150, 300, 2500, 5000, 10000, 15000, 15000} {
		want := time.Duration(ms) * time.Millisecond
		low, high := freshness.FailedAfter(before, now, 0, 0), freshness.FailedAfter(before, now, 0.9999, 0)
		require.Equal(t, freshness.Outcome{Failures: before + 1, At: now, For: want}, low)
		require.InDelta(t, float64(2*low.For), float64(high.For), float64(10*time.Millisecond))
		require.Less(t, high.For, 2*low.For)
	}
	require.Zero(t, freshness.NoNews(0, now))
	require.Equal(t, freshness.Outcome{Failures: 3, At: now}, freshness.NoNews(3, now))
	require.Equal(t, 15*time.Second, freshness.FailedAfter(1<<40, now, 0, 0).For)
	require.Equal(t, 7*time.Second, freshness.FailedAfter(0, now, 0, 7*time.Second).For)
	require.Equal(t, 30*time.Second, freshness.FailedAfter(0, now, 0, time.Hour).For)
}

func TestTally(t *testing.T) {
	t.Parallel()
	var tally freshness.Tally
	require.Zero(t, tally.Counts().HitRate())
	for range 7 {
		tally.Hit()
	}
	tally.Stale()
	tally.Miss()
	tally.Coalesced()
	require.Equal(t, freshness.Counts{Hits: 7, Stale: 1, Misses: 1, Coalesced: 1}, tally.Counts())
	require.InDelta(t, 0.7, tally.Counts().HitRate(), 1e-9, "neither an old copy nor waiting is a hit")
}
