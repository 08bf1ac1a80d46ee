package portstest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Parking is a store of parked orders with the rows they stand in.
type Parking struct {
	Parked ports.ParkedOrders
	Orders ports.Orders
	Outbox ports.Outbox[ports.ChangeResult]
}

// park stores the n-th order, on the n-th line, and parks it.
func (p Parking) park(t *testing.T, n int) product.Order {
	t.Helper()
	o := order(n, Line(n))
	require.NoError(t, p.Orders.Add(t.Context(), o, unkeyed))
	o.State, o.Sends, o.Silences, o.KOSOrder = product.Parked, 2, 9, "KOS-7"
	return saved(t, p.Orders, o)
}

func (p Parking) state(t *testing.T, n int) product.State {
	t.Helper()
	o, err := p.Orders.Get(t.Context(), numbered(n))
	require.NoError(t, err)
	return o.State
}

func resolution(by string, outcome product.Outcome, seconds int) product.Resolution {
	return product.Resolution{Outcome: outcome, Reason: "KOS 화면에서 확인", By: auth.UserID(by), At: after(seconds)}
}

func nothing(context.Context, product.Order) error { return nil }

// ParkedOrders is the suite of ports.ParkedOrders.
func ParkedOrders(t *testing.T, open func(t *testing.T) Parking) {
	t.Helper()
	t.Run("parked orders are listed, oldest first", func(t *testing.T) { t.Parallel(); parkedList(t, open(t)) })
	t.Run("one proposes, another confirms, and it is done", func(t *testing.T) {
		t.Parallel()
		parkedResolved(t,
			open(t))
	})
	t.Run("a proposal alone changes nothing", func(t *testing.T) { t.Parallel(); parkedProposals(t, open(t)) })
	t.Run("what is asked again may be parked again", func(t *testing.T) { t.Parallel(); parkedAgain(t, open(t)) })
	t.Run("before it is done", func(t *testing.T) { t.Parallel(); parkedBeforeDone(t, open(t)) })
	t.Run("of many persons at once two decide", func(t *testing.T) { t.Parallel(); parkedAtOnce(t, open(t)) })
}

func parkedList(t *testing.T, p Parking) {
	t.Helper()
	page, total, err := p.Parked.List(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Empty(t, page)
	require.Zero(t, total)
	o := p.park(t, 3)
	p.park(t, 1)
	p.park(t, 2)
	require.NoError(t, p.Orders.Add(t.Context(), order(4, Line(4)), unkeyed))
	_, err = p.Parked.Resolve(t.Context(), numbered(3), resolution("kim", product.OutcomeFailed, 100), nothing)
	require.NoError(t, err)
	page, total, err = p.Parked.List(t.Context(), 2, 2)
	require.NoError(t, err)
	require.Equal(t, 3, total)
	require.Len(t, page, 1)
	require.False(t, page[0].ParkedAt.IsZero())
	require.Equal(t, product.ParkedOrder{
		ID: o.ID, TransactionID: o.TransactionID, Line: Line(3).String(), From: o.From, To: o.To,
		EffectiveDate: o.EffectiveDate, RequestedAt: o.RequestedAt, ParkedAt: page[0].ParkedAt, Sends: 2, Reconciles: 9,
		KOSOrder: "KOS-7",
		Proposal: resolution("kim", product.OutcomeFailed, 100),
	}, page[0])
	page, _, err = p.Parked.List(t.Context(), 1, 2)
	require.NoError(t, err)
	require.Equal(t, []id.ID{numbered(1), numbered(2)}, ids(page, func(o product.ParkedOrder) id.ID { return o.ID }))
	require.Zero(t, page[0].Proposal)
}

func parkedResolved(t *testing.T, p Parking) {
	t.Helper()
	for n, c := range map[int]struct {
		outcome product.Outcome
		want    product.State
	}{
		1: {product.OutcomeCompleted, product.Completed}, 2: {product.OutcomeFailed, product.Failed},
		3: {product.OutcomeAskAgain, product.Unknown},
	} {
		o := p.park(t, n)
		verdict, err := p.Parked.Resolve(t.Context(), o.ID, resolution("kim", c.outcome, 100), nothing)
		require.NoError(t, err)
		require.Equal(t, product.Proposed, verdict)
		require.Equal(t, product.Parked, p.state(t, n))
		verdict, err = p.Parked.Resolve(t.Context(), o.ID, resolution("lee", c.outcome, 200), nothing)
		require.NoError(t, err)
		require.Equal(t, product.Confirmed, verdict)
		want, err := o.Resolve(resolution("lee", c.outcome, 200))
		require.NoError(t, err)
		require.Equal(t, c.want, want.State)
		want.Version++
		got, err := p.Orders.Get(t.Context(), o.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		for _, by := range []string{"kim", "lee", "park"} {
			_, err = p.Parked.Resolve(t.Context(), o.ID, resolution(by, c.outcome, 300), nothing)
			requireFault(t, fault.StateConflict, err)
		}
	}
	received, err := p.Outbox.Claim(t.Context(), after(1000), time.Minute, 10, 10)
	require.NoError(t, err)
	require.Len(t, received, 2, "what is final is due for the AP server")
	due, err := p.Orders.Claim(t.Context(), product.Begun, after(199), time.Minute, 10)
	require.NoError(t, err)
	require.Empty(t, due)
	due, err = p.Orders.Claim(t.Context(), product.Begun, after(200), time.Minute, 10)
	require.NoError(t, err)
	require.Equal(t, []id.ID{numbered(3)}, ids(due, orderID), "KOS is asked again at once")
}

func parkedProposals(t *testing.T, p Parking) {
	t.Helper()
	const done, failed = product.OutcomeCompleted, product.OutcomeFailed
	resolve := func(r product.Resolution) (product.Judgement, error) {
		return p.Parked.Resolve(t.Context(), numbered(1), r, nothing)
	}
	_, err := resolve(resolution("kim", done, 1))
	requireFault(t, fault.ResourceNotFound, err)
	o := order(1, Line(1))
	require.NoError(t, p.Orders.Add(t.Context(), o, unkeyed))
	_, err = resolve(resolution("kim", done, 1))
	requireFault(t, fault.StateConflict, err)
	o.State = product.Parked
	o = saved(t, p.Orders, o)
	proposed := func(r product.Resolution) {
		verdict, err := resolve(r)
		require.NoError(t, err)
		require.Equal(t, product.Proposed, verdict)
		page, _, err := p.Parked.List(t.Context(), 1, 1)
		require.NoError(t, err)
		require.Equal(t, r, page[0].Proposal)
	}
	proposed(resolution("kim", done, 1))
	_, err = resolve(resolution("kim", done, 2))
	requireFault(t, fault.StateConflict, err)
	proposed(resolution("kim", failed, 3)) // a correction
	proposed(resolution("lee", done, 4))   // another opinion
	proposed(resolution("kim", failed, 5)) // no end of it
	late := resolution("lee", failed, 5)   // the same decision, a day too late
	late.At = late.At.Add(24 * time.Hour)
	proposed(late)
	got, err := p.Orders.Get(t.Context(), o.ID)
	require.NoError(t, err)
	require.Equal(t, o, got)
	kim := resolution("kim", failed, 5)
	kim.At = late.At.Add(time.Hour)
	verdict, err := resolve(kim)
	require.NoError(t, err)
	require.Equal(t, product.Confirmed, verdict)
}

func parkedAgain(t *testing.T, p Parking) {
	t.Helper()
	o := p.park(t, 1)
	for _, by := range []string{"kim", "lee"} {
		_, err := p.Parked.Resolve(t.Context(), o.ID, resolution(by, product.OutcomeAskAgain, 100), nothing)
		require.NoError(t, err)
	}
	o, err := p.Orders.Get(t.Context(), o.ID)
	require.NoError(t, err)
	o.State = product.Parked
	saved(t, p.Orders, o)
	page, _, err := p.Parked.List(t.Context(), 1, 1)
	require.NoError(t, err)
	require.Zero(t, page[0].Proposal, "what was carried out is no proposal")
	verdict, err := p.Parked.Resolve(t.Context(), o.ID, resolution("park", product.OutcomeAskAgain, 101), nothing)
	require.NoError(t, err)
	require.Equal(t, product.Proposed, verdict, "two persons once more")
}

func parkedBeforeDone(t *testing.T, p Parking) {
	t.Helper()
	trouble := errors.New("the epoch cannot be raised")
	var seen []product.Order
	fails := func(_ context.Context, o product.Order) error { seen = append(seen, o); return trouble }
	o := p.park(t, 1)
	_, err := p.Parked.Resolve(t.Context(), o.ID, resolution("kim", product.OutcomeCompleted, 100), fails)
	require.NoError(t, err)
	require.Empty(t, seen, "a proposal drops nothing")
	_, err = p.Parked.Resolve(t.Context(), o.ID, resolution("lee", product.OutcomeCompleted, 101), fails)
	require.ErrorIs(t, err, trouble)
	require.Len(t, seen, 1)
	require.Equal(t, product.Completed, seen[0].State)
	require.Equal(t, o.Line, seen[0].Line)
	require.Equal(t, product.Parked, p.state(t, 1))
	verdict, err := p.Parked.Resolve(t.Context(), o.ID, resolution("lee", product.OutcomeCompleted, 102), nothing)
	require.NoError(t, err)
	require.Equal(t, product.Confirmed, verdict, "it can be said again")
	p.park(t, 2)
	for _, by := range []string{"kim", "lee"} {
		_, err = p.Parked.Resolve(t.Context(), numbered(2), resolution(by, product.OutcomeFailed, 100), fails)
		require.NoError(t, err, "nothing has changed at KOS, so nothing is dropped")
	}
	require.Len(t, seen, 1)
}

func parkedAtOnce(t *testing.T, p Parking) {
	t.Helper()
	o := p.park(t, 1)
	var proposed, confirmed, refused atomic.Int64
	var all sync.WaitGroup
	for n := range 12 {
		all.Go(func() {
			verdict, err := p.Parked.Resolve(t.Context(), o.ID, resolution(string(rune('a'+n)), product.OutcomeCompleted, 100),
				nothing)
			switch {
			case errors.Is(err, fault.New(fault.StateConflict)):
				refused.Add(1)
			case err != nil:
				noError(t, err)
			case verdict == product.Confirmed:
				confirmed.Add(1)
			default:
				proposed.Add(1)
			}
		})
	}
	all.Wait()
	require.Equal(t, [3]int64{1, 1, 10}, [3]int64{proposed.Load(), confirmed.Load(), refused.Load()})
	require.Equal(t, product.Completed, p.state(t, 1))
}
