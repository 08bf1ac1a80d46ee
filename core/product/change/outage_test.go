package change_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/line"
	"phonebill/core/product/change"
	"phonebill/core/quota"
)

// TestKOSIsDownForTwoHours is bar R5 for changes, under virtual time and with the real budget of calls: many customers
// order while KOS is away and see that it waits; each order is done once afterwards, as fast as the budget allows.
func TestKOSIsDownForTwoHours(t *testing.T) {
	t.Parallel()
	orders := manyOrders()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		window := quota.Default()
		w.kos.budget = &memory.Quota{Window: window, Now: time.Now}
		stop := w.processes(t, 2)
		w.kos.SetDown(away())
		for i := range orders {
			n := number(t, fmt.Sprintf("010%08d", 20000000+i))
			w.addLine(n)
			o, err := w.Request(t.Context(), auth.Principal{
				UserID: "hong", Lines: []line.Number{n},
			}, change.Command{Line: n, From: "LTE", To: "5G"})
			require.NoError(t, err)
			require.False(t, o.State.Final())
			require.True(t, o.WaitingForKOS, "the answer says that it waits for KOS")
			time.Sleep(2 * time.Hour / time.Duration(orders))
		}
		w.kos.SetDown(nil)
		back := time.Now()
		before := w.kos.budget.Spent()[quota.Change]
		for w.kos.Applied() < orders {
			time.Sleep(time.Second)
			if time.Since(back) > 15*time.Minute {
				break // seen below
			}
		}
		took := time.Since(back)
		defer w.Wait()
		defer stop()
		calls := w.kos.budget.Spent()[quota.Change] - before
		t.Logf("%d orders done in %s with %d calls: %.1f changes a minute, %.2f calls each", orders, took, calls,
			float64(orders)/took.Minutes(), float64(calls)/float64(orders))
		require.Less(t, calls, orders*5/2, "two calls an order, the plan list once a minute, and little in vain")
		left := window.Budget - window.Reserve[quota.Read] - window.Reserve[quota.Refresh]
		require.Greater(t, 10*calls, 8*int(took.Seconds()/window.Per.Seconds())*left,
			"what the budget leaves for changes is used")
		time.Sleep(time.Minute)
		require.Equal(t, orders, w.kos.Applied(), "once each")
		require.Len(t, w.kos.wire(), orders)
	})
}

// processes runs so many, with their workers as they are composed, until stop is called.
func (w *world) processes(t *testing.T, n int) (stop func()) {
	t.Helper()
	const idle, relief, loops, each = 200 * time.Millisecond, time.Second, 4, 2
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for range n {
		pod := w.service()
		for k := range loops {
			rest := relief
			if k == 0 {
				rest = idle
			}
			workers.Go(func() {
				for ctx.Err() == nil {
					if took, err := pod.Step(context.WithoutCancel(ctx), each); err != nil || took == 0 {
						noError(t, err)
						time.Sleep(rest)
					}
				}
			})
		}
	}
	return func() {
		cancel()
		workers.Wait()
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
