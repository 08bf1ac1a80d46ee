package portstest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/ratelimit"
	"phonebill/ports"
)

// RateLimiter is the suite of ports.RateLimiter. open returns two instances that share their store, which may be the
// same; callers that the suite uses are new to it.
func RateLimiter(t *testing.T, open func(t *testing.T) (one, two ports.RateLimiter)) {
	t.Helper()
	t.Run("the quota, per caller, over all instances", func(t *testing.T) {
		t.Parallel()
		one, two := open(t)
		p := ratelimit.Policy{Quota: 6, Window: time.Minute}
		for n := range p.Quota {
			d := []ports.RateLimiter{one, two}[n%2].Take(t.Context(), "user:a", p)
			require.True(t, d.OK)
			require.Equal(t, p.Quota-n-1, d.Remaining)
			require.Positive(t, d.Reset)
			require.LessOrEqual(t, d.Reset, p.Window)
		}
		for _, at := range []ports.RateLimiter{one, two} {
			d := at.Take(t.Context(), "user:a", p)
			require.False(t, d.OK)
			require.Zero(t, d.Remaining)
			require.Greater(t, d.RetryIn, p.Window/2)
			require.LessOrEqual(t, d.RetryIn, p.Window+p.Window/20)
			require.Equal(t, d.RetryIn, d.Reset)
		}
		require.True(t, one.Take(t.Context(), "user:b", p).OK, "another caller")
		require.True(t, one.Take(t.Context(), "user:a", ratelimit.Policy{Quota: 8, Window: time.Minute}).OK, "another quota")
		require.False(t, one.Take(t.Context(), "user:a", p).OK)
	})
	t.Run("of parallel requests no more than 110 % pass, and no fewer than the quota", func(t *testing.T) {
		t.Parallel()
		one, two := open(t)
		p := ratelimit.Policy{Quota: 100, Window: time.Minute}
		var passed atomic.Int64
		parallel(150, func() {
			for _, at := range []ports.RateLimiter{one, two} {
				if at.Take(t.Context(), "user:c", p).OK {
					passed.Add(1)
				}
			}
		})
		require.GreaterOrEqual(t, int(passed.Load()), p.Quota)
		require.LessOrEqual(t, int(passed.Load()), p.Quota*11/10)
	})
	t.Run("after the window there is room again", func(t *testing.T) {
		t.Parallel()
		one, two := open(t)
		p := ratelimit.Policy{Quota: 2, Window: time.Second}
		for range p.Quota {
			require.True(t, one.Take(t.Context(), "user:d", p).OK)
		}
		require.False(t, two.Take(t.Context(), "user:d", p).OK)
		require.Eventually(t, func() bool { return two.Take(t.Context(), "user:d", p).OK }, 10*time.Second,
			20*time.Millisecond)
	})
	t.Run("no quota is no limit", func(t *testing.T) {
		t.Parallel()
		one, _ := open(t)
		for range 1000 {
			require.True(t, one.Take(t.Context(), "user:e", ratelimit.Policy{}).OK)
		}
	})
}
