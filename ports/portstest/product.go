package portstest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/ports"
)

// order returns the n-th order, just requested, leased until after(60+n).
func order(n int, of line.Number) product.Order {
	return product.Order{
		ID: numbered(n), TransactionID: numbered(5000 + n), UserID: Owner().UserID, CustomerID: "C-0001", Line: of,
		From: "5GX_PREMIUM", To: "LTE_BASIC", Rule: product.FirstOfNextMonth, EffectiveDate: Month().Add(1).First(),
		State:       product.Requested,
		RequestedAt: after(n), NextAttemptAt: after(60 + n), TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
}

// done returns an order that KOS has accepted.
func done(o product.Order, at time.Time) product.Order {
	o.FromName, o.Target, o.Sends, o.State = "5G 프리미엄", ordered(), 1, product.Completed
	o.ProcessedAt, o.ResultCode, o.ResultMessage, o.KOSOrder = at, "0000", product.ChangedMessage, "KOS-1"
	return o
}

// ordered returns the plan of done.
func ordered() product.Plan {
	return product.Plan{
		Code: "LTE_BASIC", Name: "LTE 베이직", MonthlyFee: new(money.Won(39000)), DataAllowance: "20GB",
		VoiceAllowance: "무제한",
		SMSAllowance:   "무제한",
		NetworkType:    "LTE", Description: "LTE 20GB 요금제", OnSale: true, OperatorCode: "MVNO001",
	}
}

// unkeyed is a request without an idempotency key.
var unkeyed request.KeyUse

// saved stores the order and returns it with its new version.
func saved(t *testing.T, orders ports.Orders, o product.Order) product.Order {
	t.Helper()
	stored, err := orders.Save(t.Context(), o, after(1))
	require.NoError(t, err)
	require.Equal(t, o.Version+1, stored.Version)
	o.Version++
	require.Equal(t, o, stored)
	return stored
}

func unsaved(t *testing.T, orders ports.Orders, o product.Order) {
	t.Helper()
	_, err := orders.Save(t.Context(), o, after(1))
	requireFault(t, fault.StateConflict, err)
}

// Orders is the suite of ports.Orders.
func Orders(t *testing.T, open func(t *testing.T) ports.Orders) {
	t.Helper()
	t.Run("an order comes back as it was added", func(t *testing.T) {
		t.Parallel()
		orders, want := open(t), order(1, Line(1))
		want.FromName = "5G 프리미엄"
		_, err := orders.Get(t.Context(), want.ID)
		requireFault(t, fault.ResourceNotFound, err)
		_, err = orders.Live(t.Context(), Line(1))
		requireFault(t, fault.ResourceNotFound, err)
		require.NoError(t, orders.Add(t.Context(), want, unkeyed))
		got, err := orders.Get(t.Context(), want.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = orders.Live(t.Context(), Line(1))
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = orders.Live(t.Context(), Line(2))
		requireFault(t, fault.ResourceNotFound, err)
	})
	t.Run("a line has one live order, until that is final", func(t *testing.T) {
		t.Parallel()
		orders, live := open(t), order(1, Line(1))
		require.NoError(t, orders.Add(t.Context(), live, unkeyed))
		requireFault(t, fault.ChangeInProgress, orders.Add(t.Context(), order(2, Line(1)), unkeyed))
		_, err := orders.Get(t.Context(), numbered(2))
		requireFault(t, fault.ResourceNotFound, err)
		require.NoError(t, orders.Add(t.Context(), order(3, Line(2)), unkeyed), "another line")
		for _, state := range []product.State{product.Validated, product.Dispatched, product.Unknown, product.Parked} {
			live.State = state
			live = saved(t, orders, live)
			requireFault(t, fault.ChangeInProgress, orders.Add(t.Context(), order(2, Line(1)), unkeyed))
		}
		saved(t, orders, done(live, after(9)))
		require.NoError(t, orders.Add(t.Context(), order(2, Line(1)), unkeyed))
	})
	t.Run("of many orders at once one gets the line", func(t *testing.T) {
		t.Parallel()
		orders := open(t)
		var won atomic.Int64
		var all sync.WaitGroup
		for n := range 30 {
			all.Go(func() {
				err := orders.Add(t.Context(), order(n, Line(1)), unkeyed)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, fault.New(fault.ChangeInProgress)) {
					noError(t, err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, won.Load())
	})
	t.Run("save stores progress until the order is final", func(t *testing.T) {
		t.Parallel()
		orders, o := open(t), order(1, Line(1))
		unsaved(t, orders, o)
		require.NoError(t, orders.Add(t.Context(), o, unkeyed))
		o.TransactionID, o.EffectiveDate, o.WaitingForKOS = numbered(9000), Month().Add(2).First(), true
		o = saved(t, orders, o)
		o.CheckedAt = after(70)
		o.State, o.FromName, o.Target, o.Sends, o.Silences, o.NextAttemptAt = product.Unknown, "가", ordered(), 2, 3,
			after(77)
		old := o
		o = saved(t, orders, o)
		unsaved(t, orders, old)
		other := o
		other.TransactionID = numbered(9001)
		unsaved(t, orders, other)
		got, err := orders.Live(t.Context(), Line(1))
		require.NoError(t, err)
		require.Equal(t, o, got)
		refused := o
		refused.State, refused.ProcessedAt = product.Failed, after(78)
		refused.ResultCode, refused.ResultMessage, refused.FailureReason = "E103", product.ChangeFailed,
			product.RefusedUnpaid.Reason()
		refused = saved(t, orders, refused)
		unsaved(t, orders, done(refused, after(79)))
		got, err = orders.Get(t.Context(), o.ID)
		require.NoError(t, err)
		require.Equal(t, refused, got)
		_, err = orders.Live(t.Context(), Line(1))
		requireFault(t, fault.ResourceNotFound, err)
	})
	t.Run("claim hands out what is due, once per lease, and a late worker changes nothing", func(t *testing.T) {
		t.Parallel()
		orders := open(t)
		parked, finished := order(2, Line(2)), order(3, Line(3))
		for _, o := range []product.Order{order(1, Line(1)), parked, finished} {
			require.NoError(t, orders.Add(t.Context(), o, unkeyed))
		}
		parked.State = product.Parked
		saved(t, orders, parked)
		saved(t, orders, done(finished, after(4)))
		claim := func(at time.Time) []product.Order {
			rows, err := orders.Claim(t.Context(), product.New, at, 10*time.Second, 10)
			require.NoError(t, err)
			return rows
		}
		require.Empty(t, claim(after(60)), "leased to its creator")
		first := claim(after(61))
		require.Len(t, first, 1)
		want := order(1, Line(1))
		want.Fence, want.Version, want.NextAttemptAt = 1, 1, after(71)
		require.Equal(t, want, first[0])
		require.Empty(t, claim(after(70)), "leased")
		unsaved(t, orders, order(1, Line(1)))
		second := claim(after(71))
		require.Len(t, second, 1)
		require.EqualValues(t, 2, second[0].Fence)
		unsaved(t, orders, done(first[0], after(72)))
		saved(t, orders, done(second[0], after(72)))
		require.Empty(t, claim(after(1000)), "final or parked")
	})
	t.Run("what is begun is a queue of its own", func(t *testing.T) {
		t.Parallel()
		orders := open(t)
		states := []product.State{
			product.Requested, product.Validated, product.Dispatched, product.Unknown, product.Parked, product.Completed,
			product.Cancelled,
		}
		for n, state := range states {
			o := order(n, Line(n))
			require.NoError(t, orders.Add(t.Context(), o, unkeyed))
			if o.State = state; state.Final() {
				o.ProcessedAt = after(50)
			}
			saved(t, orders, o)
		}
		for queue, want := range map[product.Queue][]id.ID{
			product.New: {numbered(0)}, product.Begun: {numbered(1), numbered(2), numbered(3)},
		} {
			rows, err := orders.Claim(t.Context(), queue, after(200), time.Hour, 10)
			require.NoError(t, err)
			require.ElementsMatch(t, want, ids(rows, orderID))
		}
	})
	t.Run("parallel claimers share the work, the longest due first", func(t *testing.T) {
		t.Parallel()
		orders := open(t)
		for n := range 40 {
			require.NoError(t, orders.Add(t.Context(), order(n, Line(n)), unkeyed))
		}
		oldest, err := orders.Claim(t.Context(), product.New, after(200), time.Hour, 3)
		require.NoError(t, err)
		require.ElementsMatch(t, []id.ID{numbered(0), numbered(1), numbered(2)}, ids(oldest, orderID))
		seen := claimAll(t, 37, func() ([]product.Order, error) {
			return orders.Claim(t.Context(), product.New, after(200), time.Hour, 5)
		}, orderID)
		require.Len(t, seen, 37)
		for _, times := range seen {
			require.Equal(t, 1, times)
		}
	})
	t.Run("an order is cancelled while KOS cannot have seen it", func(t *testing.T) {
		t.Parallel()
		cancelledOrders(t,
			open(t))
	})
	t.Run("a key stands for one order", func(t *testing.T) { t.Parallel(); keyedOrders(t, open(t)) })
	t.Run("of many requests under a key one is the order", func(t *testing.T) { t.Parallel(); sameKeyAtOnce(t, open(t)) })
	t.Run("completed orders of a line are known", func(t *testing.T) { t.Parallel(); completedOrders(t, open(t)) })
	t.Run("history pages the user's own lines, newest first", func(t *testing.T) {
		t.Parallel()
		orderHistory(t,
			open(t))
	})
}

func orderID(o product.Order) id.ID { return o.ID }

func orderHistory(t *testing.T, orders ports.Orders) {
	t.Helper()
	add := func(n int, of line.Number, change func(*product.Order)) {
		o := order(n, of)
		change(&o)
		require.NoError(t, orders.Add(t.Context(), o, unkeyed))
		saved(t, orders, done(o, after(100)))
	}
	same := func(*product.Order) {}
	at := func(moment time.Time) func(*product.Order) { return func(o *product.Order) { o.RequestedAt = moment } }
	early, late := time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 14, 59, 59, 999999000, time.UTC)
	add(4, Line(1), same)
	add(5, Line(1), same)
	add(6, Line(1), at(after(5))) // asked at the same moment: the later id is shown first
	add(7, Line(2), same)
	add(8, Line(3), same)
	add(9, Line(1), func(o *product.Order) { o.UserID = "stranger" })
	add(10, Line(1), at(late))
	add(11, Line(1), at(early))
	add(12, Line(1), at(late.Add(time.Microsecond)))
	add(13, Line(1), at(early.Add(-time.Microsecond)))
	day := calendar.DateOf(start)
	all := product.HistoryFilter{UserID: Owner().UserID, Lines: []line.Number{Line(1), Line(2)}, Page: 1, Size: 100}
	with := func(change func(*product.HistoryFilter)) product.HistoryFilter { f := all; change(&f); return f }
	for name, c := range map[string]struct {
		filter product.HistoryFilter
		want   []int
		total  int
	}{
		"all":        {all, []int{12, 10, 7, 6, 5, 4, 11, 13}, 8},
		"one line":   {with(func(f *product.HistoryFilter) { f.Lines = f.Lines[1:] }), []int{7}, 1},
		"no line":    {with(func(f *product.HistoryFilter) { f.Lines = nil }), nil, 0},
		"other user": {with(func(f *product.HistoryFilter) { f.UserID = "stranger" }), []int{9}, 1},
		"one day":    {with(func(f *product.HistoryFilter) { f.From, f.To = day, day }), []int{10, 7, 6, 5, 4, 11}, 6},
		"from":       {with(func(f *product.HistoryFilter) { f.From = day }), []int{12, 10, 7, 6, 5, 4, 11}, 7},
		"to":         {with(func(f *product.HistoryFilter) { f.To = day }), []int{10, 7, 6, 5, 4, 11, 13}, 7},
		"pending":    {with(func(f *product.HistoryFilter) { f.Status = "PENDING" }), nil, 0},
		"completed": {with(func(f *product.HistoryFilter) { f.Status = "COMPLETED" }), []int{12, 10, 7, 6, 5, 4, 11, 13},
			8},
		"second page": {with(func(f *product.HistoryFilter) { f.Page, f.Size = 2, 3 }), []int{6, 5, 4}, 8},
		"beyond":      {with(func(f *product.HistoryFilter) { f.Page, f.Size = 4, 3 }), nil, 8},
	} {
		page, total, err := orders.History(t.Context(), c.filter)
		require.NoError(t, err, name)
		require.Equal(t, c.total, total, name)
		want := make([]id.ID, len(c.want))
		for i, n := range c.want {
			want[i] = numbered(n)
		}
		require.Equal(t, want, ids(page, orderID), name)
	}
	page, _, err := orders.History(t.Context(), with(func(f *product.HistoryFilter) { f.Lines = f.Lines[1:] }))
	require.NoError(t, err)
	want := done(order(7, Line(2)), after(100))
	want.Version = 1
	require.Equal(t, []product.Order{want}, page)
}
