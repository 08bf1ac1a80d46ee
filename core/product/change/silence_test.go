package change_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/ports"
)

// TestRecoveryAfterSilence is the bound of S-RECOVERY: an order that was cut off is final 60 s after KOS answers again,
// however long it hung and however many orders there are; and while it hangs they cost it a handful of calls a minute.
func TestRecoveryAfterSilence(t *testing.T) {
	t.Parallel()
	many := manyOrders()
	for _, c := range []struct {
		orders int
		silent time.Duration
	}{
		{1, 2 * time.Minute}, {1, 23 * time.Minute}, {1, 2 * time.Hour},
		{many, 2 * time.Minute}, {many, 23 * time.Minute}, {many, 2 * time.Hour},
	} {
		t.Run(fmt.Sprint(c.orders, " for ", c.silent), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked, after := recovers(t, lost, lost, c.orders, c.silent)
				require.LessOrEqual(t, asked, 16+8*int(c.silent.Minutes()),
					"two processes ask four times a minute each at most, and their first ones")
				require.Less(t, after, 2*c.orders+10)
			})
		})
	}
}

// TestRecoveryWhenOnlyChangesFail: the query answers, the change does not. Each attempt that KOS then does not know of
// makes the next one wait longer, but never so long that the bound breaks.
func TestRecoveryWhenOnlyChangesFail(t *testing.T) {
	t.Parallel()
	for how, change := range map[string]answering{"E999": failed, "hangs": lost} {
		for _, orders := range []int{1, 2, 20} {
			for _, minutes := range []int{2, 3, 6, 11} {
				trouble := time.Duration(minutes) * time.Minute
				t.Run(fmt.Sprint(how, " ", orders, " for ", trouble), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { recovers(t, nil, change, orders, trouble) })
				})
			}
		}
	}
}

// answering is how KOS answers changes or questions; nil = as it should.
type answering func(context.Context, ports.Call, product.Order) product.Answer

func failed(context.Context, ports.Call, product.Order) product.Answer {
	return product.Answer{Kind: product.AnswerUnknown}
}

// recovers has KOS answer questions and changes so while it fails, and then as it should; it returns how many
// questions it was asked during and after that.
func recovers(t *testing.T, ask, change answering, orders int, trouble time.Duration) (asked, after int) {
	t.Helper()
	w := newWorld(t)
	begun := time.Now()
	var well atomic.Bool
	w.kos.onAsk = func(ctx context.Context, _ ports.Call, o product.Order) product.Answer {
		if ask != nil && !well.Load() {
			return ask(ctx, ports.Call{}, o)
		}
		return w.kos.KOS.AskStatus(ctx, ports.Call{}, o)
	}
	w.kos.onChange = func(ctx context.Context, _ ports.Call, o product.Order) product.Answer {
		if change != nil && !well.Load() {
			return change(ctx, ports.Call{}, o)
		}
		return w.kos.KOS.Change(ctx, ports.Call{}, o)
	}
	var all []id.ID
	for i := range orders { // sent, applied or (all of them, where the query answers) not, and then the process died
		n := number(t, fmt.Sprintf("010%08d", 20000000+i))
		w.addLine(n)
		o := product.Order{
			ID: newID(), TransactionID: newID(), UserID: "hong", Line: n, From: "LTE", To: "5G",
			State: product.Dispatched, Sends: 1,
			Rule: product.FirstOfNextMonth, EffectiveDate: product.FirstOfNextMonth.Day(begun), RequestedAt: begun,
			NextAttemptAt: begun,
		}
		if i%2 == 0 && ask != nil {
			w.kos.KOS.Change(t.Context(), ports.Call{}, o)
		}
		require.NoError(t, w.orders.Add(t.Context(), o, request.KeyUse{}))
		all = append(all, o.ID)
	}
	open := func(o id.ID) bool { return !w.read(t, o).State.Final() }
	stop := w.processes(t, 2)
	time.Sleep(trouble)
	asked = w.kos.questions()
	well.Store(true)
	back := time.Now()
	for slices.ContainsFunc(all, open) && time.Since(back) < time.Hour {
		time.Sleep(time.Second)
	}
	took := time.Since(back)
	after = w.kos.questions() - asked
	stop()
	t.Logf("%d orders, trouble for %s: %d questions, %.1f a minute; final %s after KOS answers again, with %d questions",
		orders, trouble, asked, float64(asked)/trouble.Minutes(), took, after)
	require.LessOrEqual(t, took, time.Minute)
	require.Equal(t, orders, w.kos.Applied(), "once each")
	return asked, after
}

func (k *kos) questions() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.asked)
}

// TestTwoLinesInTroubleDoNotStarveTheOthers: KOS never answers about two orders. A third one is slowed down
// at most until its turn, and what KOS says of it is reason to go on at full speed.
func TestTwoLinesInTroubleDoNotStarveTheOthers(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		bad := map[id.ID]bool{}
		w.kos.onAsk = func(ctx context.Context, _ ports.Call, o product.Order) product.Answer {
			if bad[o.ID] {
				return lost(ctx, ports.Call{}, o)
			}
			return w.kos.KOS.AskStatus(ctx, ports.Call{}, o)
		}
		add := func(n int) id.ID {
			o := product.Order{
				ID: newID(), TransactionID: newID(), UserID: "hong", Line: number(t, fmt.Sprintf("010%08d", 20000000+n)),
				From: "LTE", To: "5G", State: product.Unknown, Sends: 1, RequestedAt: time.Now(), NextAttemptAt: time.Now(),
			}
			require.NoError(t, w.orders.Add(t.Context(), o, request.KeyUse{}))
			return o.ID
		}
		bad[add(1)], bad[add(2)] = true, true
		stop := w.processes(t, 1)
		defer stop()
		time.Sleep(5 * time.Minute)
		for n := range 10 {
			third, at := add(3+n), time.Now()
			for !w.read(t, third).State.Final() && time.Since(at) < time.Hour {
				time.Sleep(time.Second)
			}
			require.LessOrEqual(t, time.Since(at), 45*time.Second)
			time.Sleep(time.Duration(7*n) * time.Second)
		}
	})
}
