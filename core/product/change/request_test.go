package change_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/product/change"
	"phonebill/core/request"
	"phonebill/ports"
)

func keyed(t *testing.T, c change.Command, key string) change.Command {
	t.Helper()
	var err error
	c.Key, err = request.ParseKey(key)
	require.NoError(t, err)
	return c
}

func TestAKeyReplaysSuccess(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		first, err := w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.NoError(t, err)
		again, err := w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.NoError(t, err)
		first.Replayed = true
		require.Equal(t, first, again)
		require.Equal(t, 1, w.kos.Applied())
		_, err = w.Request(t.Context(), w.me, keyed(t, w.command("5G-S"), "k"))
		require.ErrorIs(t, err, fault.New(fault.IdempotencyKeyReused))
		_, err = w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k-2"))
		require.ErrorIs(t, err, fault.New(fault.ValidationFailed),
			"another key is another request; the plan is scheduled already")
		time.Sleep(request.KeyWindow + time.Second)
		_, err = w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.ErrorIs(t, err, fault.New(fault.ValidationFailed), "a day later the key is new")
	})
}

func TestAKeyReplaysRefusal(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.then(func(context.Context, ports.Call, product.Order) product.Answer {
			return product.Answer{Kind: product.AnswerRefused, Code: "E103", Refusal: product.RefusedUnpaid}
		})
		_, first := w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.ErrorIs(t, first, fault.New(fault.ChangeDenied))
		_, again := w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.ErrorIs(t, again, fault.New(fault.ChangeDenied))
		require.Equal(t, fault.From(first).Message(), fault.From(again).Message())
		require.Equal(t, fault.From(first).Details(), fault.From(again).Details())
		require.Equal(t, []bool{false, true}, []bool{fault.From(first).Replay(), fault.From(again).Replay()})
		require.Len(t, w.kos.wire(), 1)
	})
}

// TestAKeyWhoseOrderGoesOn: the same key gets the order as it stands, another key gets CHANGE_IN_PROGRESS.
func TestAKeyWhoseOrderGoesOn(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.SetDown(down())
		first, err := w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.NoError(t, err)
		require.True(t, first.WaitingForKOS)
		again, err := w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.NoError(t, err)
		require.Equal(t, first.ID, again.ID)
		require.True(t, again.Replayed)
		require.False(t, again.State.Final())
		_, err = w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k-2"))
		require.ErrorIs(t, err, fault.New(fault.ChangeInProgress))
		require.Equal(t, first.ID.String(), fault.From(err).Details()["requestId"])
		w.kos.SetDown(nil)
		require.Empty(t, w.work(t.Context(), time.Minute))
		end, err := w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.NoError(t, err)
		require.Equal(t, product.Completed, end.State)
		require.Equal(t, first.ID, end.ID)
		_, err = w.Request(t.Context(), w.me, keyed(t, w.command("5G-S"), "k-2"))
		require.NoError(t, err, "what was refused because of another order is not stored under the key")
	})
}

func TestAKeyOutlivesTheDayThatWasAskedFor(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		c := keyed(t, w.command("5G"), "k")
		c.Effective = calendar.DateOf(time.Now())
		first, err := w.Request(t.Context(), w.me, c)
		require.NoError(t, err)
		time.Sleep(time.Until(calendar.DateOf(time.Now()).AddDays(1).Start()))
		if again, err := w.Request(t.Context(), w.me, c); time.Since(first.RequestedAt) <= request.KeyWindow {
			require.NoError(t, err)
			first.Replayed = true
			require.Equal(t, first, again)
		}
		c = keyed(t, c, "k-2")
		_, err = w.Request(t.Context(), w.me, c)
		require.ErrorIs(t, err, fault.New(fault.ValidationError))
	})
}

// TestFiftyAtOnce: of 50 concurrent identical and conflicting requests one is applied, and KOS is called for one.
func TestFiftyAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		seen := map[id.ID]int{}
		refused := 0
		var all sync.WaitGroup
		for n := range 50 {
			all.Go(func() {
				c := w.command([]string{"5G", "5G-S"}[n%2])
				if n%5 == 0 {
					c = keyed(t, c, "key-"+c.To)
				}
				o, err := w.Request(t.Context(), w.me, c)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					seen[o.ID]++
					return
				}
				require.ErrorIs(t, err, fault.New(fault.ChangeInProgress))
				refused++
			})
		}
		all.Wait()
		require.Len(t, seen, 1)
		require.GreaterOrEqual(t, refused, 25)
		require.Equal(t, 1, w.kos.Applied())
		require.Equal(t, 3, w.kos.Calls, "customer, plans, change")
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.SetDown(down())
		o, err := w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.NoError(t, err)
		_, err = w.Cancel(t.Context(), auth.Principal{UserID: "kim", Lines: w.me.Lines}, o.ID)
		require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
		gone, err := w.Cancel(t.Context(), w.me, o.ID)
		require.NoError(t, err)
		require.Equal(t, product.Cancelled, gone.State)
		require.Equal(t, gone, w.read(t, o.ID))
		_, err = w.Cancel(t.Context(), w.me, o.ID)
		require.ErrorIs(t, err, fault.New(fault.StateConflict))
		_, err = w.Request(t.Context(), w.me, keyed(t, w.command("5G"), "k"))
		require.ErrorIs(t, err, fault.New(fault.StateConflict), "the key tells what became of it")
		w.kos.SetDown(nil)
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Empty(t, w.kos.wire())
		items, err := w.orders.Outbox().Claim(t.Context(), time.Now(), time.Minute, 10, 10)
		require.NoError(t, err)
		require.Len(t, items, 1, "the result is delivered")
	})
}

// TestStaffCancelWhatTheCustomerCould: the order ends as if its customer had taken it back, but says who did; what is
// done cannot be taken back by either. The order keeps the trace id of the call that made it.
func TestStaffCancelWhatTheCustomerCould(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.SetDown(down())
		const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
		o, err := w.Request(ports.WithTrace(t.Context(), ports.Trace{TraceID: trace}), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, trace, w.read(t, o.ID).TraceID)
		require.ErrorIs(t, w.CancelByStaff(t.Context(), id.ID{9}), fault.New(fault.ResourceNotFound))
		require.NoError(t, w.CancelByStaff(t.Context(), o.ID))
		gone := w.read(t, o.ID)
		require.Equal(t, product.Cancelled, gone.State)
		require.Equal(t, product.CancelledByStaff, gone.FailureReason)
		require.Equal(t, trace, gone.TraceID)
		require.ErrorIs(t, w.CancelByStaff(t.Context(), o.ID), fault.New(fault.StateConflict))
		w.kos.SetDown(nil)
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Empty(t, w.kos.wire())
		done, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, product.Completed, done.State)
		require.ErrorIs(t, w.CancelByStaff(t.Context(), done.ID), fault.New(fault.StateConflict))
	})
}

// TestCancelAgainstTheWorker: an order that is cancelled while its facts are fetched is sent or cancelled, not both.
func TestCancelAgainstTheWorker(t *testing.T) {
	t.Parallel()
	for at := time.Duration(0); at < 400*time.Millisecond; at += 20 * time.Millisecond {
		bubble(t, func(t *testing.T, w *world) {
			w.kos.onChange = func(ctx context.Context, _ ports.Call, o product.Order) product.Answer {
				time.Sleep(150 * time.Millisecond)
				return w.kos.KOS.Change(ctx, ports.Call{}, o)
			}
			var o change.Result
			var err error
			var done sync.WaitGroup
			done.Go(func() { o, err = w.Request(t.Context(), w.me, w.command("5G")) })
			time.Sleep(at)
			live, liveErr := w.orders.Orders.Live(t.Context(), w.line)
			var gone product.Order
			cancelErr := liveErr
			if liveErr == nil {
				gone, cancelErr = w.Cancel(t.Context(), w.me, live.ID)
			}
			done.Wait()
			if cancelErr == nil {
				require.Equal(t, product.Cancelled, gone.State)
				require.ErrorIs(t, err, fault.New(fault.StateConflict), "the one who waited gets the conflict")
				require.Empty(t, w.kos.wire())
				return
			}
			require.NoError(t, err)
			require.Equal(t, product.Completed, o.State)
			require.Len(t, w.kos.wire(), 1)
		})
	}
}

func TestAnOrderThatNeverWasSentIsNewAfterItsDay(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.SetDown(down())
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		time.Sleep(time.Until(o.EffectiveDate.AddDays(3).Start()))
		w.kos.SetDown(nil)
		require.Empty(t, w.work(t.Context(), time.Minute))
		end := w.read(t, o.ID)
		require.Equal(t, product.Completed, end.State)
		require.NotEqual(t, o.TransactionID, end.TransactionID)
		require.Equal(t, o.EffectiveDate.Month().Add(1).First(), end.EffectiveDate)
		require.Equal(t, end.EffectiveDate, w.kos.wire()[0].EffectiveDate)
	})
}

func TestOnceAMonth(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.Policy.OnceAMonth = true
		_, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		_, err = w.Request(t.Context(), w.me, w.command("5G-S"))
		require.ErrorIs(t, err, fault.New(fault.ValidationFailed))
		require.Contains(t, fault.From(err).Message(), "이번 달에 이미")
		v, err := w.PreCheck(t.Context(), w.me, w.command("5G-S"))
		require.NoError(t, err)
		require.False(t, v.OK())
		time.Sleep(time.Until(calendar.MonthOf(time.Now()).Add(1).First().Start()))
		_, err = w.Request(t.Context(), w.me, w.command("5G-S"))
		require.NoError(t, err)
	})
}

// TestOnceAMonthCountsWhatWasDone: a change requested in one month and done in the next is one of the next.
func TestOnceAMonthCountsWhatWasDone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.Policy.OnceAMonth = true
		next := calendar.MonthOf(time.Now()).Add(1).First().Start()
		time.Sleep(time.Until(next) - 30*time.Second)
		w.kos.SetDown(away())
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		w.kos.SetDown(nil)
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
		_, err = w.Request(t.Context(), w.me, w.command("5G-S"))
		require.ErrorIs(t, err, fault.New(fault.ValidationFailed))
		require.Contains(t, fault.From(err).Message(), "이번 달에 이미")
		time.Sleep(time.Until(next.AddDate(0, 1, 0)))
		_, err = w.Request(t.Context(), w.me, w.command("5G-S"))
		require.NoError(t, err)
	})
}

// TestWithoutAStatusQuery the line's plans tell what became of an order.
func TestWithoutAStatusQuery(t *testing.T) {
	t.Parallel()
	type answers = func(context.Context, ports.Call, product.Order) product.Answer
	for name, c := range map[string]struct {
		first func(w *world) answers
		end   product.State
		sends int
	}{
		"applied, reply lost": {func(w *world) answers { return w.kos.dropReply }, product.Completed, 1},
		"never arrived":       {func(*world) answers { return lost }, product.Completed, 2},
		"another one scheduled elsewhere": {func(w *world) answers {
			return func(ctx context.Context, _ ports.Call, o product.Order) product.Answer {
				w.customer(func(c *product.Customer) { c.Scheduled = &product.Scheduled{PlanCode: "5G-S"} })
				return lost(ctx, ports.Call{}, o)
			}
		}, product.Parked, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				w.kos.onAsk = noQuery
				w.kos.then(c.first(w))
				o, err := w.Request(t.Context(), w.me, w.command("5G"))
				require.NoError(t, err)
				require.Empty(t, w.work(t.Context(), time.Minute))
				end := w.read(t, o.ID)
				require.Equal(t, c.end, end.State)
				require.Equal(t, c.sends, end.Sends)
			})
		})
	}
	bubble(t, func(t *testing.T, w *world) {
		w.kos.onAsk = noQuery
		w.kos.then(func(ctx context.Context, _ ports.Call, o product.Order) product.Answer {
			w.kos.SetDown(down())
			return lost(ctx, ports.Call{}, o)
		})
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Equal(t, product.Unknown, w.read(t, o.ID).State, "it could not be looked up")
		w.kos.SetDown(nil)
		require.Empty(t, w.work(t.Context(), 2*time.Minute))
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
	})
}
