package change_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/change"
	"phonebill/ports"
)

func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(t, w)
		w.Wait()
	})
}

func down() error { return fault.New(fault.ServiceUnavailable).RetryIn(20 * time.Second) }

// away is a KOS that cannot be asked.
func away() error {
	return fault.New(fault.ServiceUnavailable).RetryIn(20 * time.Second).Because(
		errors.Join(ports.ErrNotAsked, ports.NotAskedError("OPEN")))
}

func TestValidate(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		v, err := w.PreCheck(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.True(t, v.OK())
		v, err = w.PreCheck(t.Context(), w.me, w.command("3G"))
		require.NoError(t, err, "a no is a value")
		require.False(t, v.OK())
		_, err = w.PreCheck(t.Context(), auth.Principal{}, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
		w.kos.SetDown(down())
		<-time.After(freshness.CheckAge + time.Millisecond)
		_, err = w.PreCheck(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "KOS out of reach is never a failed check")
	})
}

// What a check needs and KOS leaves out is a failure of KOS, not of the check: the order waits.
func TestALineWithoutAStatusIsNotRefused(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		in := product.Customer{Line: w.line, CustomerID: "C1", PlanCode: "LTE", OperatorCode: "MVNO"}
		w.kos.AddCustomer(in, nil)
		_, err := w.PreCheck(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, product.Requested, o.State)
		in.LineStatus = product.LineActive
		w.kos.AddCustomer(in, nil)
		time.Sleep(time.Minute)
		_, err = w.Step(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
	})
}

func TestAChangeIsDoneOnceAndSeenAfterItsEpoch(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		var seen product.State
		w.epochs.raised = func() {
			live, err := w.orders.Orders.Live(context.Background(), w.line)
			if err == nil {
				seen = live.State
			}
		}
		begin := time.Now()
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, product.Completed, o.State)
		require.Equal(t, product.Dispatched, seen, "the caches are dropped before the order is seen as done")
		require.Equal(t, o.Order, w.read(t, o.ID))
		require.Equal(t, []product.State{product.Dispatched, product.Completed}, w.orders.savedStates,
			"stored before the wire")
		require.Equal(t, []string{"LTE 플랜", "5G 플랜", "0000", "상품 변경이 완료되었습니다"},
			[]string{o.FromName, o.Target.Name, o.ResultCode, o.ResultMessage})
		require.Equal(t, calendar.MonthOf(begin).Add(1).First(), o.EffectiveDate)
		require.NotEqual(t, o.ID, o.TransactionID)
		epoch, err := w.epochs.Of(t.Context(), w.line)
		require.NoError(t, err)
		require.True(t, epoch.After(begin))
		require.Len(t, w.kos.wire(), 1)
		require.Equal(t, o.TransactionID, w.kos.wire()[0].TransactionID)
		items, err := w.orders.Outbox().Claim(t.Context(), time.Now(), time.Minute, 10, 10)
		require.NoError(t, err)
		require.Len(t, items, 1)
	})
}

// The history names the plan that the line had, also one that the plan list has forgotten: as KOS states it with the
// customer when the order is checked, and before that as the copy has it.
func TestHistoryNamesAPlanThatIsNoLongerSold(t *testing.T) {
	t.Parallel()
	gone := product.Plan{Code: "GONE", Name: "지난 플랜"}
	named := func(t *testing.T, w *world) string {
		rows, total, err := w.History(t.Context(), w.me, product.HistoryFilter{Page: 1, Size: 10})
		require.NoError(t, err)
		require.Equal(t, 1, total)
		return rows[0].FromName
	}
	on := func(w *world) change.Command {
		w.kos.AddCustomer(product.Customer{
			Line: w.line, CustomerID: "C1", PlanCode: "GONE", Plan: gone, OperatorCode: "MVNO", LineStatus: product.LineActive,
		}, nil)
		c := w.command("5G")
		c.From = "GONE"
		return c
	}
	bubble(t, func(t *testing.T, w *world) {
		_, err := w.Request(t.Context(), w.me, on(w))
		require.NoError(t, err)
		require.Equal(t, "지난 플랜", named(t, w))
	})
	bubble(t, func(t *testing.T, w *world) { // KOS cannot be asked, but there is a copy
		c := on(w)
		_, _, err := w.FactsForOrder.Customer(t.Context(), ports.Call{}, w.line, freshness.Customer)
		require.NoError(t, err)
		w.kos.SetDown(away())
		_, err = w.Request(t.Context(), w.me, c)
		require.NoError(t, err)
		require.Equal(t, "지난 플랜", named(t, w))
	})
}

func TestEffectiveDayIsTodayOrTheFirst(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		c := w.command("5G")
		c.Effective = calendar.DateOf(time.Now()).AddDays(1)
		_, err := w.Request(t.Context(), w.me, c)
		require.ErrorIs(t, err, fault.New(fault.ValidationError))
		c.Effective = calendar.DateOf(time.Now())
		o, err := w.Request(t.Context(), w.me, c)
		require.NoError(t, err)
		require.Equal(t, c.Effective, o.EffectiveDate)
	})
}

func TestWhatFailsWithinTheTimeIs409WithTheRequestID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		to   string
		edit func(*product.Customer)
		code fault.Code
		why  string
	}{
		"not on sale":      {"3G", nil, fault.ValidationFailed, "현재 판매 중인 상품이 아닙니다"},
		"another operator": {"ELSE", nil, fault.ValidationFailed, "가입하신 사업자의 상품이 아닙니다"},
		"same plan":        {"LTE", nil, fault.ValidationFailed, "이미 이용 중인 상품입니다"},
		"not the current": {"5G", func(c *product.Customer) {
			c.PlanCode = "5G-S"
		}, fault.ValidationFailed, "일치하지 않습니다"},
		"already scheduled": {"5G", func(c *product.Customer) {
			c.Scheduled = &product.Scheduled{PlanCode: "5G"}
		}, fault.ValidationFailed, "예약된"},
		"suspended": {"5G", func(c *product.Customer) { c.LineStatus = product.LineSuspended }, fault.LineSuspended,
			"정지된 회선입니다"},
		"terminated": {"5G", func(c *product.Customer) { c.LineStatus = product.LineTerminated }, fault.LineSuspended,
			"해지된 회선입니다"},
		"line unknown": {"5G", func(c *product.Customer) {
			c.Line = line.Number{}
		}, fault.LineNotFound, "회선 정보를 찾을 수 없습니다"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				if name == "line unknown" {
					w.line = number(t, "01012340000")
					w.me.Lines = []line.Number{w.line}
				} else if c.edit != nil {
					w.customer(c.edit)
				}
				_, err := w.Request(t.Context(), w.me, w.command(c.to))
				require.ErrorIs(t, err, fault.New(c.code))
				require.Contains(t, fault.From(err).Message(), c.why)
				order, parseErr := id.Parse(fault.From(err).Details()["requestId"])
				require.NoError(t, parseErr)
				o := w.read(t, order)
				require.Equal(t, product.Failed, o.State)
				require.Contains(t, o.FailureReason, c.why)
				require.Empty(t, w.kos.wire())
				epoch, err := w.epochs.Of(t.Context(), w.line)
				require.NoError(t, err)
				require.True(t, epoch.IsZero(), "caches are dropped only after a successful change")
				items, err := w.orders.Outbox().Claim(t.Context(), time.Now(), time.Minute, 10, 10)
				require.NoError(t, err)
				require.Len(t, items, 1, "failures are delivered too")
			})
		})
	}
}

func TestARefusalByKOSFreesTheLine(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.then(func(context.Context, ports.Call, product.Order) product.Answer {
			return product.Answer{Kind: product.AnswerRefused, Code: "E103", Refusal: product.RefusedUnpaid}
		})
		_, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.ChangeDenied))
		require.Equal(t, "상품 변경 요청을 실패하였습니다: "+product.RefusedUnpaid.Reason(), fault.From(err).Message())
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, product.Completed, o.State)
		require.NotEqual(t, w.kos.wire()[0].TransactionID, w.kos.wire()[1].TransactionID,
			"a new request is a new transaction")
	})
}

func TestAnotherTargetReplacesAScheduledOne(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		_, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		_, err = w.Request(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.ValidationFailed))
		o, err := w.Request(t.Context(), w.me, w.command("5G-S"))
		require.NoError(t, err)
		require.Equal(t, product.Completed, o.State)
	})
}

func TestOneLiveOrderPerLine(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.slow(4 * time.Second) // longer than the customer waits; the facts time out
		first, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, product.Requested, first.State)
		same, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, first.ID, same.ID)
		_, err = w.Request(t.Context(), w.me, w.command("5G-S"))
		require.ErrorIs(t, err, fault.New(fault.ChangeInProgress))
		require.Equal(t, first.ID.String(), fault.From(err).Details()["requestId"])
		spouse := auth.Principal{UserID: "kim", Lines: w.me.Lines}
		_, err = w.Request(t.Context(), spouse, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.ChangeInProgress), "somebody else's wish is not answered as one's own")
		_, err = w.Request(t.Context(), auth.Principal{UserID: "hong"}, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
		w.orders.live = fault.New(fault.ResourceNotFound)
		_, err = w.Request(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.ChangeInProgress), "it ended between the two looks")
		w.orders.live = errBackend
		_, err = w.Request(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, errBackend)
		w.orders.live = nil
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Equal(t, product.Completed, w.read(t, first.ID).State, "the worker has more time")
		require.Equal(t, 1, w.kos.Applied())
	})
}

func TestKOSOutOfReachIs202AndDoneOnceLater(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.SetDown(away())
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, product.Requested, o.State)
		require.WithinRange(t, o.NextAttemptAt, time.Now().Add(20*time.Second), time.Now().Add(25*time.Second))
		require.Empty(t, w.work(t.Context(), 2*time.Hour))
		require.Equal(t, product.Requested, w.read(t, o.ID).State)
		w.kos.SetDown(nil)
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
		require.Equal(t, 1, w.kos.Applied())
	})
}

func TestAFailedCheckInTheBackgroundEndsTheOrder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.SetDown(down())
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		w.customer(func(c *product.Customer) { c.LineStatus = product.LineSuspended })
		w.kos.SetDown(nil)
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Equal(t, "정지된 회선입니다", w.read(t, o.ID).FailureReason)
		require.Empty(t, w.kos.wire())
	})
}

func TestNotSentIsSentLater(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.then(func(context.Context, ports.Call, product.Order) product.Answer {
			return product.Answer{Kind: product.AnswerNotSent, RetryAfter: 30 * time.Second}
		})
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, product.Validated, o.State)
		require.Zero(t, o.Sends)
		w.kos.onChange = func(context.Context, ports.Call, product.Order) product.Answer {
			return product.Answer{Kind: product.AnswerNotSent, RetryAfter: 30 * time.Second}
		}
		calls := w.kos.Calls
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Len(t, w.kos.wire(), 2)
		require.Equal(t, calls, w.kos.Calls, "the check still holds")
		w.customer(func(c *product.Customer) { c.LineStatus = product.LineSuspended })
		require.Empty(t, w.work(t.Context(), 3*time.Minute))
		require.Equal(t, product.Failed, w.read(t, o.ID).State, "what never was on the wire is checked again after a while")
	})
}

func TestATimeoutIsUnknownThenAskedAbout(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first func(w *world) func(context.Context, ports.Call, product.Order) product.Answer
		sends int
	}{
		"applied, reply lost": {func(w *world) func(context.Context, ports.Call, product.Order) product.Answer {
			return w.kos.dropReply
		}, 1},
		"never arrived": {func(*world) func(context.Context, ports.Call, product.Order) product.Answer { return lost }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				w.kos.then(c.first(w))
				start := time.Now()
				o, err := w.Request(t.Context(), w.me, w.command("5G"))
				require.NoError(t, err)
				require.Equal(t, 2700*time.Millisecond, time.Since(start), "202 in time")
				require.Equal(t, "PROCESSING", o.Public())
				time.Sleep(3 * time.Second)
				now := w.read(t, o.ID)
				require.Equal(t, product.Unknown, now.State, "never FAILED")
				quiet := now.NextAttemptAt.Sub(start.Add(5100 * time.Millisecond))
				require.GreaterOrEqual(t, quiet, 10*time.Second, "the quiet period")
				require.LessOrEqual(t, quiet, 12500*time.Millisecond)
				require.Empty(t, w.work(t.Context(), time.Minute))
				end := w.read(t, o.ID)
				require.Equal(t, product.Completed, end.State)
				require.Equal(t, o.TransactionID, end.TransactionID)
				require.Equal(t, o.EffectiveDate, end.EffectiveDate)
				require.Equal(t, c.sends, end.Sends)
				require.Equal(t, []int{1, 2}[:c.sends], w.kos.attempts, "the call log knows which send it was")
				require.Equal(t, 1, w.kos.Applied())
			})
		})
	}
}

// TestALateFirstAttemptIsNoFailure: KOS did not know the transaction when asked, then applied it after all. The facts
// now say "already scheduled"; that is our own change.
func TestALateFirstAttemptIsNoFailure(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.then(lost)
		w.kos.onAsk = func(ctx context.Context, _ ports.Call, o product.Order) product.Answer {
			w.kos.KOS.Change(ctx, ports.Call{}, o) // arrives just after the answer was made
			return product.Answer{Kind: product.AnswerAbsent}
		}
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
		require.Equal(t, 1, w.kos.Applied())
	})
}

func TestAnUndecidableOrderIsParked(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.then(lost)
		w.kos.onAsk = func(context.Context, ports.Call, product.Order) product.Answer {
			return product.Answer{Kind: product.AnswerUnknown}
		}
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Empty(t, w.every(t.Context(), 10*time.Second, 25*time.Hour))
		parked := w.read(t, o.ID)
		require.Equal(t, product.Parked, parked.State)
		n, err := w.Step(t.Context(), 10)
		require.NoError(t, err)
		require.Zero(t, n, "parked orders wait for a person")
		live, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, o.ID, live.ID, "the line stays taken")
	})
}

// TestACrashAtAnyStepEndsWithOneApplication lets the first process die at each of its stores; another one goes on.
func TestACrashAtAnyStepEndsWithOneApplication(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dies product.State // while this state is being stored
		kept bool          // the store got it nonetheless
	}{
		"before the order is marked as sent": {product.Dispatched, false},
		"marked as sent, not on the wire":    {product.Dispatched, true},
		"applied, not noted":                 {product.Completed, false},
		"applied and noted":                  {product.Completed, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				w.orders.beforeSave = func(o product.Order) error {
					if o.State != c.dies {
						return nil
					}
					w.orders.mu.Lock()
					w.orders.beforeSave = nil
					w.orders.mu.Unlock()
					if c.kept {
						if _, err := w.orders.Orders.Save(context.Background(), o, time.Now()); err != nil {
							return err
						}
					}
					return errBackend
				}
				start := time.Now()
				o, err := w.Request(t.Context(), w.me, w.command("5G"))
				require.NoError(t, err)
				require.Equal(t, c.dies == product.Completed && c.kept, o.State.Final(), "accepted; its trouble is the worker's")
				w.Service = w.service()
				require.Empty(t, w.work(t.Context(), time.Minute))
				end := w.read(t, o.ID)
				require.Equal(t, product.Completed, end.State)
				require.LessOrEqual(t, end.ProcessedAt.Sub(start), time.Minute)
				require.Equal(t, 1, w.kos.Applied())
				for _, sent := range w.kos.wire() {
					require.Equal(t, o.TransactionID, sent.TransactionID)
				}
			})
		})
	}
}

func TestALateWorkerTouchesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.SetDown(down())
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		w.kos.SetDown(nil)
		time.Sleep(20 * time.Second)
		w.orders.beforeSave = func(product.Order) error { // stalls before it marks the order as sent
			w.orders.mu.Lock()
			w.orders.beforeSave = nil
			w.orders.mu.Unlock()
			time.Sleep(16 * time.Second)
			_, err := w.service().Step(context.Background(), 10)
			return err
		}
		_, err = w.Step(t.Context(), 10)
		require.ErrorIs(t, err, fault.New(fault.StateConflict))
		require.Len(t, w.kos.wire(), 1, "the late one never reached the wire")
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
	})
}

func TestRaiseFailingKeepsTheOrderOpen(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.epochs.broken = errBackend
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, "PROCESSING", o.Public())
		errs := w.work(t.Context(), time.Minute)
		require.NotEmpty(t, errs)
		require.ErrorIs(t, errs[0], errBackend)
		require.False(t, w.read(t, o.ID).State.Final())
		w.epochs.broken = nil
		w.work(t.Context(), time.Minute)
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
		require.Equal(t, 1, w.kos.Applied())
	})
}

func TestStoresInTrouble(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.orders.add = errBackend
		_, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, errBackend)
		require.Zero(t, w.kos.Calls, "the order comes first")
		w.orders.claim = errBackend
		_, err = w.Step(t.Context(), 1)
		require.ErrorIs(t, err, errBackend)
	})
}

// handsOut returns orders that no store should hand out.
type handsOut struct {
	*orders
	order product.Order
}

func (h handsOut) Claim(context.Context, product.Queue, time.Time, time.Duration, int) ([]product.Order, error) {
	return []product.Order{h.order}, nil
}

func TestAnOrderThatIsOverIsLeftAlone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		for _, state := range []product.State{product.Parked, product.Completed, product.Failed,
			product.Cancelled, "MADE_UP"} {
			w.Orders = handsOut{w.orders, product.Order{State: state, Line: w.line}}
			_, err := w.Step(t.Context(), 1)
			require.NoError(t, err)
		}
		require.Empty(t, w.kos.wire())
		require.Empty(t, w.kos.asked)
	})
}

func TestHangingUpDoesNotStopTheChange(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		o, err := w.Request(ctx, w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, product.Completed, o.State)
	})
}

func TestGetIsForTheOwnerAloneAndWaits(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.slow(2800 * time.Millisecond)
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		for name, p := range map[string]auth.Principal{"user": {UserID: "kim", Lines: w.me.Lines}, "line": {UserID: "hong"}} {
			_, err = w.Get(t.Context(), p, o.ID, 0)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound), name)
		}
		_, err = w.Get(t.Context(), w.me, id.ID{9}, time.Second)
		require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
		got, err := w.Get(t.Context(), w.me, o.ID, 25*time.Second)
		require.NoError(t, err)
		require.Equal(t, product.Completed, got.State)
		w.kos.SetDown(down())
		c := w.command("5G-S")
		o, err = w.Request(t.Context(), w.me, c)
		require.NoError(t, err)
		start := time.Now()
		got, err = w.Get(t.Context(), w.me, o.ID, 3*time.Second)
		require.NoError(t, err)
		require.False(t, got.State.Final())
		require.Equal(t, 3*time.Second, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = w.Get(ctx, w.me, o.ID, 25*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestHistoryShowsTheCallersOwnOrders(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		_, err := w.Request(t.Context(), w.me, w.command("3G"))
		require.Error(t, err)
		_, err = w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		rows, total, err := w.History(t.Context(), w.me, product.HistoryFilter{Page: 1, Size: 1})
		require.NoError(t, err)
		require.Equal(t, 2, total)
		require.Equal(t, product.Completed, rows[0].State)
		_, total, err = w.History(t.Context(), w.me, product.HistoryFilter{Lines: []line.Number{w.line}, Page: 1, Size: 1})
		require.NoError(t, err)
		require.Equal(t, 2, total)
		_, _, err = w.History(t.Context(), w.me, product.HistoryFilter{
			Lines: []line.Number{number(t, "01055554444")}, Page: 1, Size: 1,
		})
		require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
		stranger := auth.Principal{UserID: "kim", Lines: w.me.Lines}
		_, total, err = w.History(t.Context(), stranger, product.HistoryFilter{UserID: "hong", Page: 1, Size: 1})
		require.NoError(t, err)
		require.Zero(t, total)
	})
}

func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	l := change.DefaultLimits()
	require.Greater(t, l.Lease, l.Send+l.Answer)
	require.Less(t, l.Answer, 3*time.Second)
}
