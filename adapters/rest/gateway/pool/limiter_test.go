package pool_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/gateway/pool"
	"phonebill/core/upstream"
)

func narrow(limit, backlog int) func(*pool.Config) {
	return func(c *pool.Config) {
		c.Load = upstream.DefaultLoad()
		c.Load.Start, c.Load.Least, c.Load.Backlog = limit, 1, backlog
	}
}

// TestTheMostImportantComesFirst when a place becomes free, whoever has waited longer.
func TestTheMostImportantComesFirst(t *testing.T) {
	t.Parallel()
	p := open(t, false, narrow(1, 100))
	held, err := p.Admit(t.Context(), upstream.First, false)
	require.NoError(t, err)
	order := make(chan upstream.Class, 3)
	var all sync.WaitGroup
	for n, class := range []upstream.Class{upstream.List, upstream.Read, upstream.First} {
		all.Go(func() {
			done, err := p.Admit(t.Context(), class, false)
			if err != nil {
				return // on a busy machine its patience may have ended
			}
			order <- class
			done()
		})
		eventually(t, func() bool { return p.Snapshot().Waiting > n || len(order) > 0 }, "it waits")
		if class == upstream.First {
			held()
		}
	}
	all.Wait()
	close(order)
	last := upstream.First
	for class := range order {
		require.GreaterOrEqual(t, class, last)
		last = class
	}
	require.Zero(t, p.Snapshot().Waiting)
}

// TestTheBacklogIsBounded: lists are refused first, logins last.
func TestTheBacklogIsBounded(t *testing.T) {
	t.Parallel()
	p, registry := openCounted(t, false, narrow(1, 4))
	held, err := p.Admit(t.Context(), upstream.First, false)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	refused := func(c upstream.Class) bool {
		_, err := p.Admit(ctx, c, false)
		var u *pool.UnansweredError
		require.ErrorAs(t, err, &u)
		require.Equal(t, time.Second, u.RetryIn)
		return err != nil
	}
	wait := func(c upstream.Class) {
		was := p.Snapshot().Waiting
		waiting.Go(func() {
			for ctx.Err() == nil { // its patience may end while the test goes on
				if done, err := p.Admit(ctx, c, false); err == nil {
					done()
					return
				}
			}
		})
		eventually(t, func() bool { return p.Snapshot().Waiting > was }, "it waits")
	}
	wait(upstream.First)
	require.True(t, refused(upstream.List))
	for range 3 {
		wait(upstream.First)
	}
	require.True(t, refused(upstream.Read))
	require.Positive(t, metric(t, registry, "gateway_upstream_shed_total", "list"))
	require.Positive(t, metric(t, registry, "gateway_upstream_shed_total", "read"))
	poll, err := p.Admit(t.Context(), upstream.Read, true)
	require.NoError(t, err, "a long poll takes no place")
	poll()
	cancel()
	waiting.Wait()
	held()
	eventually(t, func() bool { return p.Snapshot().Waiting == 0 }, "all are gone")
}

// TestTheLimitAdapts to the fastest answers of each window.
func TestTheLimitAdapts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		class upstream.Class
		took  time.Duration
		once  int // requests under way
		want  int
	}{
		"all is well":              {upstream.Read, 10 * time.Millisecond, 200, 256},
		"as slow as reads may get": {upstream.List, 50 * time.Millisecond, 200, 256},
		"too slow":                 {upstream.Read, 300 * time.Millisecond, 200, 180},
		"logging in is slow":       {upstream.First, 300 * time.Millisecond, 200, 256},
		"too few to say anything":  {upstream.Read, 300 * time.Millisecond, 19, 256},
		"too rare":                 {upstream.Read, 2 * time.Second, 200, 256},
		"reached":                  {upstream.Read, 10 * time.Millisecond, 256, 268},
	} {
		var now atomic.Int64
		p := open(t, false, func(c *pool.Config) { c.Now = func() time.Time { return time.Unix(0, now.Load()) } })
		var under []func()
		for range c.once {
			done, err := p.Admit(t.Context(), c.class, false)
			require.NoError(t, err)
			under = append(under, done)
		}
		now.Add(int64(c.took))
		for n, done := range under {
			if n == 19 { // the window is over now
				now.Add(int64(100 * time.Millisecond))
			}
			done()
		}
		require.Equal(t, c.want, p.Snapshot().Limit, name)
	}
}

// TestNoPlaceIsLost under many clients that give up at any time.
func TestNoPlaceIsLost(t *testing.T) {
	t.Parallel()
	const limit = 3
	p := open(t, false, func(c *pool.Config) {
		narrow(limit, 512)(c)
		c.Load.Samples = 1 << 30
	})
	var running, most atomic.Int64
	var all sync.WaitGroup
	for n := range 32 {
		all.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration((n*i)%50)*time.Microsecond)
				done, err := p.Admit(ctx, upstream.Class((n+i)%3), false)
				if err == nil {
					now := running.Add(1)
					for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
					}
					running.Add(-1)
					done()
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, most.Load(), int64(limit))
	require.Zero(t, p.Snapshot().Waiting)
	var held []func()
	for range limit {
		done, err := p.Admit(t.Context(), upstream.First, false)
		require.NoError(t, err)
		held = append(held, done)
	}
	for _, done := range held {
		done()
	}
}

// BenchmarkAdmit is what the limit costs while there is a place.
func BenchmarkAdmit(b *testing.B) {
	metrics, err := pool.NewMetrics(prometheus.NewRegistry())
	require.NoError(b, err)
	c := pool.Default()
	c.Log, c.Now, c.Random, c.Metrics = silent(), time.Now, rand.Float64, metrics
	p := pool.New(b.Context(), c)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			done, err := p.Admit(b.Context(), upstream.Read, false)
			if err != nil {
				b.Error(err)
				return
			}
			done()
		}
	})
}
