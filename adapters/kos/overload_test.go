package kos_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/adapters/kos/kossim"
	"phonebill/adapters/memory"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/core/quota"
)

// overload lets so many customers a second ask for bills, each with 2.7 s, for two minutes, and returns what became of
// the calls made.
func overload(
	t *testing.T,
	perSecond int,
	w quota.Window,
	delay time.Duration,
) (results map[string]int, alerts []string) {
	t.Helper()
	delays := kossim.DefaultDelays()
	delays.Bill = delay
	sim, err := kossim.New(
		kossim.Options{Tokens: []string{token}, Clock: time.Now, Delays: &delays, QuotaPerMinute: kossim.NoQuota},
	)
	require.NoError(t, err)
	lines, err := sim.AddCustomers(kossim.Generate{Count: 400, Seed: 4})
	require.NoError(t, err)
	l := connect(t, "http://kos.test", func(_ *kos.Config, d *kos.Deps) {
		d.Quota, d.Now = &memory.Quota{Window: w, Now: time.Now}, time.Now
	})
	kos.OverWire(l.Client, besides{sim.Handler()})
	var all sync.WaitGroup
	for i := range perSecond * 120 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2700*time.Millisecond)
			defer cancel()
			_, _ = l.Bill(ctx, billed, number(t, lines[i%len(lines)]), month(t, "2000-01"))
		})
		time.Sleep(time.Second / time.Duration(perSecond))
	}
	all.Wait()
	require.NoError(t, sim.Close())
	results = map[string]int{}
	for _, c := range l.calls.Calls() {
		results[c.Result]++
	}
	return results, l.raised()
}

// TestOverloadIsNoTroubleOfKOS: however many more ask than KOS may be asked, a KOS that is well is never taken for ill,
// and (nearly) every call of the budget brings a bill.
func TestOverloadIsNoTroubleOfKOS(t *testing.T) {
	t.Parallel()
	endless := quota.Window{Budget: 100_000, Per: time.Minute}
	for name, c := range map[string]struct {
		perSecond int
		window    quota.Window
		delay     time.Duration
	}{
		"a little":                   {2, quota.Default(), 500 * time.Millisecond},
		"much":                       {20, quota.Default(), 500 * time.Millisecond},
		"of the bulkhead":            {10, endless, 500 * time.Millisecond},
		"of the bulkhead, slow KOS":  {5, endless, time.Second},
		"of the bulkhead, very slow": {5, endless, 1500 * time.Millisecond},
		"slow KOS":                   {5, quota.Default(), time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				results, alerts := overload(t, c.perSecond, c.window, c.delay)
				t.Log(results)
				require.Empty(t, alerts)
				require.GreaterOrEqual(t, results["0000"], 140, "all of the budget")
				require.LessOrEqual(t, results["TIMEOUT"], 12, "of those who waited already when KOS turned out to be slow")
			})
		})
	}
}

// TestAKOSThatHangsIsFoundOutUnderOverload: those who had waited for their turn say nothing about KOS, yet it does not
// take long.
func TestAKOSThatHangsIsFoundOutUnderOverload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := connect(t, "http://kos.test", func(_ *kos.Config, d *kos.Deps) {
			d.Quota, d.Now = &memory.Quota{Window: quota.Default(), Now: time.Now}, time.Now
		})
		kos.OverWire(
			l.Client,
			besides{http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })},
		)
		var all sync.WaitGroup
		start := time.Now()
		for i := 0; l.Breakers()[0].State == operations.Closed; i++ {
			require.Less(t, time.Since(start), 15*time.Second)
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 2700*time.Millisecond)
				defer cancel()
				_, _ = l.Bill(ctx, billed, number(t, twoLines[i%2]), month(t, "2026-11"))
			})
			time.Sleep(50 * time.Millisecond)
		}
		t.Logf("open after %s and %d calls", time.Since(start), len(l.calls.Calls()))
		all.Wait()
	})
}

// TestHurriedTimeoutsDoNotCount: a customer's last moments are too short for any KOS.
func TestHurriedTimeoutsDoNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := connect(t, "http://kos.test")
		kos.OverWire(
			l.Client,
			besides{http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })},
		)
		for i := range 30 {
			ctx, cancel := context.WithTimeout(t.Context(), 1900*time.Millisecond)
			_, _ = l.ask(ctx, t, twoLines[i%2])
			cancel()
		}
		require.Empty(t, l.raised())
		require.Zero(t, l.Breakers()[0].Failures)
		require.Less(t, len(l.calls.Calls()), 5, "once it is known that it is not enough, none is spent on it")
		for i := range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 2100*time.Millisecond)
			_, _ = l.ask(ctx, t, twoLines[i%2])
			cancel()
		}
		require.Equal(t, []string{"breaker_opened bill.inquiry"}, l.raised())
	})
}

// TestOneSlowLineHurriesNoOther: an answer that took ten times as long as usual does not make it too late for the
// others.
func TestOneSlowLineHurriesNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		l := pipe(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(500 * time.Millisecond)
			if slow.Load() {
				time.Sleep(4500 * time.Millisecond)
			}
			says(200, envelope(t, "E002", nil))(w, r)
		})
		slow.Store(true)
		_, _ = l.ask(t.Context(), t, twoLines[0])
		slow.Store(false)
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		_, f := l.ask(ctx, t, twoLines[1])
		require.Equal(t, fault.BillNotFound, f.Code())
	})
}
