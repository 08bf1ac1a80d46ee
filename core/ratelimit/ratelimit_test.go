package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/auth"
	"phonebill/core/ratelimit"
)

func TestLimitsAreReadFromText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ratelimit.Limits{
		"": ratelimit.DefaultLimits(),
		"DEFAULT=100,VIP=500,MVNO_AP=10000": {
			auth.TierDefault: {100, time.Minute}, auth.TierVIP: {500, time.Minute}, auth.TierMVNOAP: {10_000, time.Minute},
		},
		"VIP=7/5s, DEFAULT=3/1m": {
			auth.TierDefault: {3, time.Minute}, auth.TierVIP: {7, 5 * time.Second}, auth.TierMVNOAP: {10_000, time.Minute},
		},
	} {
		got, err := ratelimit.ParseLimits(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"DEFAULT", "DEFAULT=", "DEFAULT=0", "DEFAULT=-1", "DEFAULT=10000001", "BENCH=5", "GOLD=5", "DEFAULT=5,DEFAULT=6",
		"DEFAULT=5/0s", "DEFAULT=5/500ms", "DEFAULT=5/1500ms", "DEFAULT=5/2h", "DEFAULT=5/x", "DEFAULT=5/", ",",
	} {
		_, err := ratelimit.ParseLimits(text)
		require.ErrorContains(t, err, "want tiers", text)
	}
}

func TestPoliciesOfTiers(t *testing.T) {
	t.Parallel()
	l := ratelimit.DefaultLimits()
	require.Equal(t, 100, l.Of(auth.TierDefault, true).Quota)
	require.Equal(t, 500, l.Of(auth.TierVIP, false).Quota)
	require.Equal(t, 10_000, l.Of(auth.TierMVNOAP, false).Quota)
	require.True(t, l.Of(auth.TierBench, true).Unlimited())
	require.Equal(t, 100, l.Of(auth.TierBench, false).Quota, "an ordinary tier where it does not exist")
	require.Equal(t, 100, l.Of("", true).Quota, "a token of before")
	require.Equal(t, 100, l.Of("GOLD", true).Quota, "a tier of a later release")
}

func TestShares(t *testing.T) {
	t.Parallel()
	p := ratelimit.Policy{Quota: 100, Window: time.Minute}
	for instances, want := range map[int]int{0: 100, 1: 100, 3: 34, 4: 25, 1000: 1} {
		require.Equal(t, want, p.Share(instances), instances)
	}
}

// TestAWindowNeverHasMoreThanTheQuota is what RateLimit-Policy says: at most q requests in any w, and after w they are
// there again.
func TestAWindowNeverHasMoreThanTheQuota(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := ratelimit.Policy{
			Quota:  rapid.IntRange(1, 30).Draw(t, "quota"),
			Window: time.Duration(rapid.IntRange(1, 90).Draw(t, "w")) * time.Second,
		}
		var w ratelimit.Window
		var passed []time.Time
		at := start
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(p.Window)/10).Draw(t, "gap")))
			s := w.Apply(p.Slots(), ratelimit.Trip{Quota: p.Quota, Want: 1}, at)
			if s.Granted == 1 {
				passed = append(passed, at)
				continue
			}
			require.Positive(t, s.Free)
			require.LessOrEqual(t, s.Free, p.Window+p.Window/80+110*time.Millisecond)
			require.Zero(t, w.Apply(p.Slots(), ratelimit.Trip{Quota: p.Quota, Want: 1}, at.Add(s.Free-time.Microsecond)).Granted)
			at = at.Add(s.Free)
			require.Equal(t, 1, w.Apply(p.Slots(), ratelimit.Trip{Quota: p.Quota, Want: 1}, at).Granted, "one is free then")
			passed = append(passed, at)
		}
		require.LessOrEqual(t, most(passed, p.Window+time.Nanosecond), p.Quota)
	})
}

func TestWhatATripDoesToTheWindow(t *testing.T) {
	t.Parallel()
	p := ratelimit.Policy{Quota: 10, Window: time.Minute}
	var w ratelimit.Window
	trip := func(t ratelimit.Trip) ratelimit.State {
		t.Quota = p.Quota
		return w.Apply(p.Slots(), t, start)
	}
	first := trip(ratelimit.Trip{Want: 4})
	require.Equal(t, 4, first.Granted)
	require.Equal(t, 4, first.Used)
	require.Equal(t, 3, trip(ratelimit.Trip{Back: 1, BackSlot: first.Slot}).Used, "what was not used is free again")
	require.Equal(t, 0, trip(ratelimit.Trip{Back: 9, BackSlot: first.Slot}).Used, "no more than was taken")
	require.Equal(t, 0, trip(ratelimit.Trip{Back: 9, BackSlot: first.Slot - 1}).Used)
	require.Equal(t, 12, trip(ratelimit.Trip{Charge: 12}).Used, "what has passed counts whether or not there is room")
	over := trip(ratelimit.Trip{Want: 1})
	require.Zero(t, over.Granted)
	require.Positive(t, over.Free)
}

func TestABucketDecidesByItselfWhileItIsSafe(t *testing.T) {
	t.Parallel()
	p := ratelimit.Policy{Quota: 100, Window: time.Minute}
	var b ratelimit.Bucket
	var shared ratelimit.Window
	trip := func(now time.Time, waiting int) ratelimit.State {
		made := b.Begin(p, now, waiting)
		s := shared.Apply(p.Slots(), made, now)
		b.End(p, made, s, now)
		return s
	}
	d, ask := b.Take(p, start, 3)
	require.False(t, ask)
	require.Equal(t, ratelimit.Decision{OK: true, Remaining: 99, Reset: time.Minute, Source: ratelimit.ByLocal}, d)
	require.True(t, b.Due(start))
	_, ask = b.Take(p, start, 3)
	require.True(t, ask, "the first is not counted yet")
	require.Equal(t, 4, trip(start, 3).Used)
	for n := range 3 {
		d, ask = b.Take(p, start, 3)
		require.False(t, ask)
		require.True(t, d.OK)
		require.Equal(t, 98-n, d.Remaining)
	}
	require.False(t, b.Due(start))
	d, ask = b.Take(p, start, 3)
	require.False(t, ask, "far from the limit again, and all is counted")
	require.Equal(t, 95, d.Remaining)
	require.Equal(t, 40, trip(start, 35).Used)
	for range 35 {
		_, ask = b.Take(p, start, 3)
		require.False(t, ask)
	}
	_, ask = b.Take(p, start, 3)
	require.True(t, ask, "less than 60 % are left")
	require.Equal(t, 100, trip(start, 70).Used)
	for range 60 {
		d, ask = b.Take(p, start, 3)
		require.True(t, d.OK && !ask)
	}
	for range 3 {
		d, ask = b.Take(p, start.Add(time.Second), 3)
		require.False(t, ask, "a refusal stands without a trip")
		require.False(t, d.OK)
		require.Greater(t, d.RetryIn, 59*time.Second)
		require.LessOrEqual(t, d.RetryIn, 60*time.Second)
	}
	b.Renew()
	_, ask = b.Take(p, start.Add(time.Second), 3)
	require.True(t, ask, "another quota may have room")
	require.False(t, b.Idle(p, start.Add(time.Minute)))
	require.True(t, b.Idle(p, start.Add(70*time.Second)))
}

func TestABlockThatIsNotUsedGoesBack(t *testing.T) {
	t.Parallel()
	p := ratelimit.Policy{Quota: 10_000, Window: time.Minute}
	var b ratelimit.Bucket
	var shared ratelimit.Window
	shared.Apply(p.Slots(), ratelimit.Trip{Quota: p.Quota, Charge: 9000}, start)
	asked := b.Begin(p, start, 1)
	require.Equal(t, 100, asked.Want, "a block")
	b.End(p, asked, shared.Apply(p.Slots(), asked, start), start)
	d, ask := b.Take(p, start, 3)
	require.False(t, ask)
	require.Equal(t, 999, d.Remaining)
	require.True(t, b.Pending())
	require.False(t, b.Due(start), "it may still be used")
	later := start.Add(p.Slots().Length)
	require.True(t, b.Due(later))
	_, ask = b.Take(p, later, 3)
	require.True(t, ask, "not any more")
	back := b.Begin(p, later, 0)
	require.Equal(t, 99, back.Back)
	require.Equal(t, 9001, shared.Apply(p.Slots(), back, later).Used)
}

func TestWithoutTheSharedWindowAnInstanceCountsItsShare(t *testing.T) {
	t.Parallel()
	p := ratelimit.Policy{Quota: 9, Window: time.Minute}
	var b ratelimit.Bucket
	now := start
	for n := range 3 {
		_, ask := b.Take(p, now, 3)
		require.True(t, ask, "so small a quota leaves no room")
		b.Fail(b.Begin(p, now, 1))
		d := b.Fallback(p, now, 3)
		require.True(t, d.OK)
		require.Equal(t, 2-n, d.Remaining)
		require.Equal(t, ratelimit.ByFallback, d.Source)
		now = now.Add(time.Second)
	}
	d := b.Fallback(p, now, 3)
	require.False(t, d.OK)
	require.Greater(t, d.RetryIn, 55*time.Second)
	require.LessOrEqual(t, d.RetryIn, time.Minute)
	later := now.Add(30 * time.Second)
	again := b.Begin(p, later, 0)
	require.True(t, again.Repeated)
	require.EqualValues(t, 1, again.Number, "the trip whose answer was lost comes first")
	require.Zero(t, again.Want+again.Charge+len(again.Earlier))
	b.End(p, again, ratelimit.State{}, later)
	settled := b.Begin(p, later, 0)
	require.Zero(t, settled.Charge)
	require.Equal(t, []ratelimit.Earlier{{Slots: 122, Count: 3}}, settled.Earlier,
		"what has passed meanwhile is counted in its own time when the window is back")
	b.Fail(settled)
	again = b.Begin(p, later.Add(10*p.Slots().Length), 0)
	require.Equal(t, []ratelimit.Earlier{{Slots: 132, Count: 3}}, again.Earlier, "also when it is sent again")
	b.Fail(again)

	now = now.Add(d.RetryIn)
	require.True(t, b.Fallback(p, now, 3).OK)
	settled = b.Begin(p, now.Add(time.Hour), 0)
	require.False(t, settled.Repeated, "nothing of it counts any more")
	require.Zero(t, settled.Charge)
	require.Empty(t, settled.Earlier)
}

// TestATripIsCountedOnceHoweverOftenItIsSent: what was granted by an answer that was lost is for those who passed
// without one.
func TestATripIsCountedOnceHoweverOftenItIsSent(t *testing.T) {
	t.Parallel()
	p := ratelimit.Policy{Quota: 20, Window: time.Minute}
	var b ratelimit.Bucket
	var shared ratelimit.Window
	first := b.Begin(p, start, 1)
	require.Equal(t, 1, shared.Apply(p.Slots(), first, start).Granted)
	b.Fail(first)
	require.True(t, b.Fallback(p, start, 2).OK)
	for range 3 {
		again := b.Begin(p, start, 1)
		require.Equal(t, ratelimit.State{Granted: 1, Used: 1, Slot: start.UnixMicro() / p.Slots().Length.Microseconds(),
			Free: shared.Apply(p.Slots(), again, start).Free}, shared.Apply(p.Slots(), again, start))
		b.Fail(again)
	}
	again := b.Begin(p, start, 0)
	b.End(p, again, shared.Apply(p.Slots(), again, start), start)
	require.False(t, b.Pending(), "the request that passed is the one that was granted")
	require.Equal(t, 1, shared.Apply(p.Slots(), ratelimit.Trip{Quota: p.Quota}, start).Used)
}
