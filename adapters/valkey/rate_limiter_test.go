package valkey_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/adapters/valkey"
	"phonebill/core/personal"
	"phonebill/core/ratelimit"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// limiter returns a running limiter, one of so many instances.
func limiter(
	t testing.TB, c *valkey.Client, instances int, change func(*valkey.RateLimiterConfig),
) *valkey.RateLimiter {
	t.Helper()
	cfg := valkey.RateLimiterConfig{
		Instances: instances, Secret: personal.NewSecret("a secret of the gateways"), Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	r, err := valkey.NewRateLimiter(c, cfg)
	require.NoError(t, err)
	if c == nil {
		return r
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return r
}

func TestRateLimiterKeepsTheContract(t *testing.T) {
	t.Parallel()
	portstest.RateLimiter(t, func(t *testing.T) (one, two ports.RateLimiter) {
		t.Helper()
		c := open(t)
		return limiter(t, c.Client, 2, nil), limiter(t, c.another(t), 2, nil)
	})
}

func TestRateLimiterOnMiniredis(t *testing.T) {
	t.Parallel()
	portstest.RateLimiter(t, func(t *testing.T) (one, two ports.RateLimiter) {
		t.Helper()
		mini := miniredis.RunT(t)
		connect := func() ports.RateLimiter {
			c, err := valkey.Open(t.Context(), valkey.Config{Addr: mini.Addr(), Mini: true, Timeout: time.Second})
			require.NoError(t, err)
			t.Cleanup(c.Close)
			return limiter(t, c, 2, nil)
		}
		return connect(), connect()
	})
}

// TestRateLimiterWithoutACache runs the suite with the cache out of reach, and with none at all: each instance counts
// for itself.
func TestRateLimiterWithoutACache(t *testing.T) {
	t.Parallel()
	portstest.RateLimiter(t, func(t *testing.T) (one, two ports.RateLimiter) {
		t.Helper()
		c := open(t)
		c.wire.cut()
		one = limiter(t, c.Client, 1, nil)
		return one, one
	})
	portstest.RateLimiter(t, func(t *testing.T) (one, two ports.RateLimiter) {
		t.Helper()
		one = limiter(t, nil, 1, nil)
		return one, one
	})
}

// TestTheScriptIsTheWindow compares the script with the reference, trip by trip.
func TestTheScriptIsTheWindow(t *testing.T) {
	t.Parallel()
	c := open(t)
	var run atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		p := ratelimit.Policy{Quota: rapid.IntRange(1, 20).Draw(rt, "quota"), Window: 10 * time.Second}
		key := fmt.Sprintf("%s:rate:v2:{%d}", c.namespace, run.Add(1))
		var w ratelimit.Window
		now, slot := start.Add(365*24*time.Hour), int64(0)
		for range rapid.IntRange(1, 30).Draw(rt, "trips") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
			trip := ratelimit.Trip{
				Quota: p.Quota, Charge: rapid.IntRange(0, 3).Draw(rt, "charge"), Want: rapid.IntRange(0, 5).Draw(rt, "want"),
				Back: rapid.IntRange(0, 2).Draw(rt, "back"), BackSlot: slot,
				Sender: rapid.SampledFrom([]string{"A", "B"}).Draw(rt, "sender"), Number: rapid.Int64Range(0, 2).Draw(rt, "number"),
			}
			for range rapid.IntRange(0, 2).Draw(rt, "earlier") {
				trip.Earlier = append(trip.Earlier, ratelimit.Earlier{
					Slots: rapid.Int64Range(1, 300).Draw(rt, "slots"), Count: rapid.IntRange(1, 2).Draw(rt, "count"),
				})
			}
			got, err := valkey.ApplyTrip(t.Context(), c.Client, key, p, trip, now)
			require.NoError(rt, err)
			require.Equal(rt, w.Apply(p.Slots(), trip, now), got)
			slot = got.Slot
		}
	})
}

func TestRateWindowsHideCallersAndExpire(t *testing.T) {
	t.Parallel()
	c := open(t)
	r := limiter(t, c.Client, 1, nil)
	p := ratelimit.Policy{Quota: 2, Window: time.Minute}
	require.True(t, r.Take(t.Context(), "user:hong1234", p).OK)
	keys := c.keys(t)
	require.Len(t, keys, 1)
	require.Regexp(t, `:rate:v2:\{[0-9a-f]{64}\}$`, keys[0])
	ttl, err := c.raw.Do(t.Context(), c.raw.B().Pttl().Key(keys[0]).Build()).AsInt64()
	require.NoError(t, err)
	require.Greater(t, ttl, int64(59_000))
	require.Less(t, ttl, int64(62_000))
}

// TestWhatHasPassedIsCountedWithinATenthOfASecond has a request pass without a trip, which another instance then sees.
func TestWhatHasPassedIsCountedWithinATenthOfASecond(t *testing.T) {
	t.Parallel()
	c := open(t)
	one, two := limiter(t, c.Client, 2, nil), limiter(t, c.another(t), 2, nil)
	p := ratelimit.Policy{Quota: 100, Window: time.Minute}
	d := one.Take(t.Context(), "user:a", p)
	require.True(t, d.OK)
	require.Equal(t, ratelimit.ByLocal, d.Source, "far from the limit")
	require.Eventually(t, func() bool { return len(c.keys(t)) == 1 }, 5*time.Second, 5*time.Millisecond)
	d = two.Take(t.Context(), "user:a", p)
	require.Equal(t, ratelimit.ByLocal, d.Source)
	d = two.Take(t.Context(), "user:a", p)
	require.Equal(t, ratelimit.ByCache, d.Source, "not before the first is counted")
	require.Equal(t, 97, d.Remaining)
}

// flood sends requests of one caller through all limiters as fast as they decide, for some time, and returns what
// passed and what was asked.
func flood(
	t *testing.T, all []*valkey.RateLimiter, caller string, p ratelimit.Policy, perSecond int, long time.Duration,
) (passed, asked int64) {
	t.Helper()
	var through, sent atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(long)
	for n := range 2 * len(all) {
		wg.Go(func() {
			tick := time.NewTicker(time.Second * time.Duration(2*len(all)) / time.Duration(perSecond))
			defer tick.Stop()
			for time.Now().Before(end) {
				<-tick.C
				sent.Add(1)
				if all[n%len(all)].Take(t.Context(), caller, p).OK {
					through.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return through.Load(), sent.Load()
}

// TestThreeInstancesAndOneCallerAtTenTimesTheLimit is the bound of docs/rate-limits.md on a real cache, and what holds
// when the cache is cut off in the middle.
func TestThreeInstancesAndOneCallerAtTenTimesTheLimit(t *testing.T) {
	t.Parallel()
	c := open(t)
	registry := prometheus.NewRegistry()
	all := []*valkey.RateLimiter{
		limiter(t, c.Client, 3, func(cfg *valkey.RateLimiterConfig) { cfg.Metrics = registry }),
		limiter(t, c.another(t), 3, nil), limiter(t, c.another(t), 3, nil),
	}
	p := ratelimit.Policy{Quota: 100, Window: 60 * time.Second}
	passed, asked := flood(t, all, "user:a", p, 1000, 1500*time.Millisecond)
	t.Logf("%d of %d requests passed, where one limiter lets pass 100", passed, asked)
	require.GreaterOrEqual(t, passed, int64(100))
	require.LessOrEqual(t, passed, int64(110))

	c.wire.cut()
	more, asked := flood(t, all, "user:a", p, 1000, time.Second)
	t.Logf("without the cache %d of %d more passed", more, asked)
	require.LessOrEqual(t, passed+more, int64(200), "at most twice the quota in a window in which the cache goes")
	fresh, asked := flood(t, all, "user:b", p, 1000, time.Second)
	t.Logf("without the cache %d of %d requests of another caller passed", fresh, asked)
	require.LessOrEqual(t, fresh, int64(3*34), "the shares of all instances")
	require.GreaterOrEqual(t, fresh, int64(100))

	c.wire.flow()
	c.settled(t)
	require.Eventually(t, func() bool {
		for _, r := range all {
			if d := r.Take(t.Context(), "user:b", p); d.OK || d.Source == ratelimit.ByFallback {
				return false
			}
		}
		return true
	}, 10*time.Second, 20*time.Millisecond, "what has passed meanwhile is counted")
}

// TestABusyCallerCostsFewTrips is the amortised cost of callers above 1,000 requests a minute.
func TestABusyCallerCostsFewTrips(t *testing.T) {
	t.Parallel()
	c := open(t)
	registry := prometheus.NewRegistry()
	r := limiter(t, c.Client, 3, func(cfg *valkey.RateLimiterConfig) { cfg.Metrics = registry })
	p := ratelimit.Policy{Quota: 10_000, Window: time.Minute}
	passed := 0
	for range 20_000 {
		if r.Take(t.Context(), "service:ap", p).OK {
			passed++
		}
	}
	require.GreaterOrEqual(t, passed, 10_000)
	require.LessOrEqual(t, passed, 11_000)
	families, err := registry.Gather()
	require.NoError(t, err)
	trips := 0.0
	for _, f := range families {
		if f.GetName() == "rate_limit_cache_trips_total" {
			for _, m := range f.GetMetric() {
				trips += m.GetCounter().GetValue()
			}
		}
	}
	t.Logf("%.0f trips for 20,000 requests", trips)
	require.Less(t, trips, 400.0)
}

func TestTheTableOfCallersIsBounded(t *testing.T) {
	t.Parallel()
	c := open(t)
	r := limiter(t, c.Client, 1, func(cfg *valkey.RateLimiterConfig) { cfg.Buckets = 640 })
	p := ratelimit.Policy{Quota: 100, Window: time.Second}
	for n := range 5000 {
		require.True(t, r.Take(t.Context(), fmt.Sprintf("user:%d", n), p).OK)
	}
	require.LessOrEqual(t, valkey.Size(r), 640)
	require.Eventually(t, func() bool { return valkey.Size(r) == 0 }, 30*time.Second, 50*time.Millisecond,
		"callers who are gone are forgotten")
}

// TestASlowCacheCostsLittle has the cache stand still: the first request pays for it, and all are decided.
func TestASlowCacheCostsLittle(t *testing.T) {
	t.Parallel()
	c := open(t)
	quick := c.connect(t, func(cfg *valkey.Config) { cfg.Timeout = 0 })
	r := limiter(t, quick, 1, nil)
	p := ratelimit.Policy{Quota: 5, Window: time.Minute}
	require.Eventually(t, func() bool {
		return r.Take(t.Context(), "user:warm", ratelimit.Policy{Quota: 9, Window: time.Hour}).Source == ratelimit.ByCache
	}, 10*time.Second, 10*time.Millisecond)
	c.wire.jam()
	passed := 0
	for range 20 {
		d := r.Take(t.Context(), "user:a", p)
		require.NotEqual(t, ratelimit.ByCache, d.Source)
		if d.OK {
			passed++
		}
	}
	require.Equal(t, 5, passed)
	c.wire.flow()
}
