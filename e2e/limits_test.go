package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tally is what one user was answered.
type tally struct {
	mu       sync.Mutex
	passed   []time.Time
	statuses map[int]int
	slowest  time.Duration
}

func (a *tally) add(status int, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.statuses[status]++
	if status == http.StatusOK {
		a.passed = append(a.passed, at)
	}
	a.slowest = max(a.slowest, time.Since(at))
}

// between returns how many requests passed that were sent in [from, to).
func (a *tally) between(from, to time.Time) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range a.passed {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// keep sends requests of a user through all gateways in turn, one every interval, until ctx is done.
func (a *tally) keep(ctx context.Context, gates []*instance, token string, every time.Duration) {
	a.statuses = map[int]int{}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var under sync.WaitGroup
	defer under.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		under.Go(func() {
			at := time.Now()
			menu := gates[n%len(gates)].url + "/api/v1/bills/menu"
			a.add(ask(context.WithoutCancel(ctx), http.MethodGet, menu, token, nil).status, at)
		})
	}
}

// TestLimitsOverThreeGateways has one user at ten times the limit on three gateways, and others well below it. The
// cache is killed in the middle and started again, empty: no answer is a 5xx, and the bounds of docs/rate-limits.md
// hold.
//
//nolint:paralleltest // it loads the machine: others would fail beside it, or it beside them
func TestLimitsOverThreeGateways(t *testing.T) {
	c := startCluster(t)
	cache := &cacheAt{addr: free(t)}
	cache.run(t)
	t.Cleanup(func() { cache.kill() })
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"success":true,"data":{}}`)
	}))
	t.Cleanup(upstream.Close)
	const quota, window = 40, 4 * time.Second
	var gates []*instance
	for range 3 {
		gates = append(gates, launch(t, "gateway", "GATEWAY", "AUTH_URL="+c.Services["auth"], "BILL_URL="+upstream.URL,
			"PRODUCT_URL="+upstream.URL, "AUTH_INTERNAL_URL="+strings.TrimSuffix(c.Metrics["auth"], "/metrics"),
			"INTERNAL_TOKEN="+drillToken,
			"VALKEY_ADDR="+cache.addr, "VALKEY_PASSWORD=", "GATEWAY_INSTANCES=3",
			"RATE_LIMITS=DEFAULT="+strconv.Itoa(quota)+"/"+window.String()))
	}
	tokens, _ := c.customers(t, 4, 1)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	all := make([]tally, len(tokens))
	var load sync.WaitGroup
	load.Go(func() { all[0].keep(ctx, gates, tokens[0], window/(10*quota)) })
	for n := range tokens[1:] {
		load.Go(func() { all[n+1].keep(ctx, gates, tokens[n+1], 200*time.Millisecond) })
	}
	begun := time.Now()
	pause := func(d time.Duration) time.Time {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		return time.Now()
	}
	gone := pause(window)
	cache.kill()
	back := pause(window + 2*time.Second)
	cache.run(t)
	end := pause(window)
	stop()
	load.Wait()

	with, away, again := all[0].between(begun, begun.Add(window)), all[0].between(gone.Add(2*time.Second), back),
		all[0].between(end.Add(-window), end)
	t.Logf("of a limit of %d in %s passed: with the cache %d, without it %d, after it came back %d; answers %v",
		quota, window, with, away, again, all[0].statuses)
	require.GreaterOrEqual(t, with, quota)
	require.LessOrEqual(t, with, quota*110/100)
	require.GreaterOrEqual(t, away, quota/3, "never closed")
	require.LessOrEqual(t, away, quota+len(gates), "the shares of all gateways")
	for from := begun; from.Before(end); from = from.Add(100 * time.Millisecond) {
		require.LessOrEqual(t, all[0].between(from, from.Add(window)), 2*quota+len(gates),
			"a window in which the cache goes or comes, %s after the start", from.Sub(begun))
	}
	for n := range all {
		for status := range all[n].statuses {
			require.Contains(t, []int{http.StatusOK, http.StatusTooManyRequests}, status, "user %d", n)
		}
		if n > 0 {
			t.Logf("another user: %v, slowest %s", all[n].statuses, all[n].slowest)
			require.Zero(t, all[n].statuses[http.StatusTooManyRequests], "the others are not affected")
		}
	}
}
