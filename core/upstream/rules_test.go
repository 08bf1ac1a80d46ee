package upstream_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/upstream"
)

func TestOnlyWhatDidNotLeaveIsRepeatedUnlessItReads(t *testing.T) {
	t.Parallel()
	require.True(t, upstream.Repeatable(true, true))
	require.True(t, upstream.Repeatable(true, false))
	require.True(t, upstream.Repeatable(false, false))
	require.False(t, upstream.Repeatable(false, true))
}

// TestTheBudgetHolds: of any sequence of requests no more are repeated than the reserve and a tenth.
func TestTheBudgetHolds(t *testing.T) {
	t.Parallel()
	b := upstream.DefaultBudget()
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 1))
		savings, requests, repeated := b.Begin(), int64(0), int64(0)
		for range 20_000 {
			savings = b.Earn(savings)
			requests++
			for random.IntN(3) == 0 {
				var ok bool
				if savings, ok = b.Spend(savings); ok {
					repeated++
				}
			}
			require.LessOrEqual(t, repeated, b.Reserve+requests*b.Percent/100)
			require.LessOrEqual(t, int64(savings), b.Most*100)
		}
		require.Greater(t, repeated, requests/20, "and it is used")
	}
}

func TestTheBreaker(t *testing.T) {
	t.Parallel()
	p := upstream.DefaultBreaker()
	now := start
	var b upstream.Breaker
	require.True(t, b.Quiet())
	for range p.Failures {
		var ok bool
		b, ok, _ = b.Allow(p, now)
		require.True(t, ok)
		require.False(t, b.Open())
		b = b.Failed(p, now)
		require.False(t, b.Quiet())
	}
	require.True(t, b.Open())
	_, ok, wait := b.Allow(p, now.Add(p.Open/4))
	require.False(t, ok)
	require.Equal(t, p.Open*3/4, wait)
	now = now.Add(p.Open)
	b, ok, _ = b.Allow(p, now)
	require.True(t, ok, "the trial")
	b, ok, wait = b.Allow(p, now)
	require.False(t, ok, "one alone")
	require.Equal(t, p.Open, wait)
	b = b.Failed(p, now.Add(p.Open/2))
	require.True(t, b.Open())
	b, ok, _ = b.Allow(p, now.Add(p.Open))
	require.True(t, ok, "the next trial, whatever became of the first")
	require.True(t, b.Answered().Quiet())
	require.True(t, upstream.Breaker{}.Failed(p, now).Answered().Quiet(), "not in a row")
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for _, c := range upstream.Classes() {
		got, err := upstream.ParseClass(c.String())
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	_, err := upstream.ParseClass("urgent")
	require.ErrorContains(t, err, `"urgent" is not a priority`)
	require.Greater(t, upstream.First.Patience(), upstream.Read.Patience())
	require.Greater(t, upstream.Read.Patience(), upstream.List.Patience())
	p := upstream.DefaultLoad()
	for _, c := range []struct {
		waiting           int
		first, read, list bool
	}{
		{0, true, true, true}, {127, true, true, true}, {128, true, true, false}, {383, true, true, false},
		{384, true, false, false}, {511, true, false, false}, {512, false, false, false},
	} {
		require.Equal(t, []bool{c.first, c.read, c.list}, []bool{
			p.Admits(upstream.First, c.waiting), p.Admits(upstream.Read, c.waiting), p.Admits(upstream.List, c.waiting),
		}, "%d wait", c.waiting)
	}
}

func TestTheLimitFollowsTheFastestAnswer(t *testing.T) {
	t.Parallel()
	p := upstream.DefaultLoad()
	const fast, slow = time.Millisecond, 60 * time.Millisecond
	for name, c := range map[string]struct {
		limit int
		seen  upstream.Window
		want  int
	}{
		"little to do":          {256, upstream.Window{Fastest: fast, Peak: 3}, 256},
		"reached":               {256, upstream.Window{Fastest: fast, Peak: 256}, 268},
		"reached, small":        {p.Least, upstream.Window{Fastest: fast, Peak: p.Least}, p.Least + 1},
		"as much as there is":   {p.Most, upstream.Window{Fastest: fast, Peak: p.Most}, p.Most},
		"too slow":              {256, upstream.Window{Fastest: slow, Peak: 256}, 230},
		"too slow with less":    {256, upstream.Window{Fastest: slow, Peak: 100}, 90},
		"as little as there is": {p.Least, upstream.Window{Fastest: slow, Peak: p.Least}, p.Least},
		"just in time":          {256, upstream.Window{Fastest: p.Target, Peak: 10}, 256},
	} {
		require.Equal(t, c.want, p.Next(c.limit, c.seen), name)
	}
}
