package throttle_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/throttle"
)

var now = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func TestABurstThenTheRate(t *testing.T) {
	t.Parallel()
	r := throttle.Logins(600)
	var tat time.Time
	for n := range 600 {
		var ok bool
		tat, ok, _ = r.Take(tat, now)
		require.True(t, ok, n)
	}
	after, ok, wait := r.Take(tat, now)
	require.False(t, ok)
	require.Equal(t, 100*time.Millisecond, wait)
	require.Equal(t, tat, after, "a refusal uses nothing up")
	_, ok, _ = r.Take(tat, now.Add(wait-1))
	require.False(t, ok)
	tat, ok, _ = r.Take(tat, now.Add(wait))
	require.True(t, ok)
	_, ok, _ = r.Take(tat, now.Add(wait))
	require.False(t, ok)
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	for range 10 {
		_, ok, _ := throttle.Rate{}.Take(time.Time{}, now)
		require.True(t, ok)
	}
}

// TestNeverMoreThanBurstAndRate counts what passes in any window, and that waiting for retryIn is enough.
func TestNeverMoreThanBurstAndRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := throttle.Rate{PerMinute: rapid.IntRange(1, 1000).Draw(t, "rate"), Burst: rapid.IntRange(0, 50).Draw(t, "burst")}
		var tat time.Time
		var passed []time.Time
		at := now
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			at = at.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "gap")) * time.Millisecond)
			after, ok, wait := r.Take(tat, at)
			if !ok {
				_, ok, _ = r.Take(tat, at.Add(wait))
				require.True(t, ok, "after retryIn there is one")
				continue
			}
			tat = after
			passed = append(passed, at)
			for i, first := range passed {
				allowed := max(1, r.Burst) + int(at.Sub(first)/r.Interval())
				require.LessOrEqual(t, len(passed)-i, allowed)
			}
		}
	})
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::1": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "unknown", "invalid IP": "unknown",
	} {
		require.Equal(t, want, throttle.Prefix(address))
	}
}

func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	b := throttle.Buckets{Most: 10}
	r := throttle.Rate{PerMinute: 60, Burst: 1}
	for n := range 10 {
		ok, _ := b.Take(strconv.Itoa(n), r, now)
		require.True(t, ok)
	}
	ok, wait := b.Take("3", r, now)
	require.False(t, ok)
	require.Equal(t, time.Second, wait)
	ok, _ = b.Take("new", r, now)
	require.True(t, ok, "another bucket is dropped")
	ok, _ = b.Take("later", r, now.Add(time.Minute))
	require.True(t, ok)
	ok, _ = b.Take("new", r, now.Add(time.Minute))
	require.True(t, ok)
}

func TestParallelCallsShareABucket(t *testing.T) {
	t.Parallel()
	var b throttle.Buckets
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if ok, _ := b.Take("x", throttle.Rate{PerMinute: 10, Burst: 10}, now); ok {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 10, passed.Load())
}
