package portstest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// ended stores the n-th order, on the n-th line, and ends it at after(at).
func ended(t *testing.T, orders ports.Orders, n, at int, state product.State) product.Order {
	t.Helper()
	o := order(n, Line(n))
	require.NoError(t, orders.Add(t.Context(), o, unkeyed))
	o.State, o.ProcessedAt = state, after(at)
	return saved(t, orders, o)
}

func noticeID(n product.Notice) id.ID { return n.Order.ID }

// Notices is the suite of ports.Notices.
func Notices(t *testing.T, open func(t *testing.T) (ports.Notices, ports.Orders)) {
	t.Helper()
	t.Run("every order that ends has a notice", func(t *testing.T) {
		t.Parallel()
		notices, orders := open(t)
		done := ended(t, orders, 1, 103, product.Completed)
		ended(t, orders, 2, 102, product.Failed)
		ended(t, orders, 3, 101, product.Cancelled)
		live := order(4, Line(4))
		require.NoError(t, orders.Add(t.Context(), live, unkeyed))
		live.State = product.Parked
		saved(t, orders, live)
		claim := func(at, n int) []product.Notice {
			claimed, err := notices.Claim(t.Context(), after(at), 10*time.Second, n)
			require.NoError(t, err)
			return claimed
		}
		require.Empty(t, claim(100, 10))
		require.Equal(t, []id.ID{numbered(3), numbered(2)}, ids(claim(200, 2), noticeID))
		last := claim(200, 10)
		require.Equal(t, []product.Notice{{Order: done, Lease: after(210)}}, last)
		require.Empty(t, claim(209, 10), "leased")
		require.Len(t, claim(210, 10), 3, "their worker has died")
	})
	t.Run("notified once, and a late worker changes nothing", func(t *testing.T) {
		t.Parallel()
		notices, orders := open(t)
		ended(t, orders, 1, 100, product.Completed)
		claim := func(at int) product.Notice {
			claimed, err := notices.Claim(t.Context(), after(at), 10*time.Second, 10)
			require.NoError(t, err)
			require.Len(t, claimed, 1)
			return claimed[0]
		}
		late := claim(100)
		held := claim(110)
		requireFault(t, fault.StateConflict, notices.Notified(t.Context(), late, after(1)))
		requireFault(t, fault.StateConflict, notices.Failed(t.Context(), late, after(300)))
		require.NoError(t, notices.Notified(t.Context(), held, after(1)))
		requireFault(t, fault.StateConflict, notices.Notified(t.Context(), held, after(1)))
		claimed, err := notices.Claim(t.Context(), after(1000), time.Minute, 10)
		require.NoError(t, err)
		require.Empty(t, claimed)
	})
	t.Run("a failed notice is tried later", func(t *testing.T) {
		t.Parallel()
		notices, orders := open(t)
		ended(t, orders, 1, 100, product.Failed)
		for n, at := range []int{100, 150, 250} {
			early, err := notices.Claim(t.Context(), after(at-1), time.Minute, 10)
			require.NoError(t, err)
			require.Empty(t, early)
			claimed, err := notices.Claim(t.Context(), after(at), time.Minute, 10)
			require.NoError(t, err)
			require.Len(t, claimed, 1)
			require.Equal(t, n, claimed[0].Attempts)
			require.NoError(t, notices.Failed(t.Context(), claimed[0], after([]int{150, 250, 400}[n])))
		}
	})
	t.Run("parallel claimers share the work", func(t *testing.T) {
		t.Parallel()
		notices, orders := open(t)
		for n := range 30 {
			ended(t, orders, n, 100, product.Completed)
		}
		seen := claimAll(t, 30, func() ([]product.Notice, error) {
			return notices.Claim(t.Context(), after(200), time.Hour,
				4)
		}, noticeID)
		require.Len(t, seen, 30)
		for _, times := range seen {
			require.Equal(t, 1, times)
		}
	})
}

// Notifier is the suite of ports.Notifier. received returns how often a customer could have been notified of an order.
func Notifier(t *testing.T, open func(t *testing.T) (notifier ports.Notifier, received func(order id.ID) int)) {
	t.Helper()
	t.Run("every end is notified, again on a second call", func(t *testing.T) {
		t.Parallel()
		notifier, received := open(t)
		for n, state := range []product.State{product.Completed, product.Failed, product.Cancelled} {
			o := order(n, Line(n))
			o.State, o.ProcessedAt = state, after(n)
			require.NoError(t, notifier.ChangeEnded(context.Background(), o))
			require.Equal(t, 1, received(o.ID))
			require.NoError(t, notifier.ChangeEnded(context.Background(), o))
			require.Equal(t, 2, received(o.ID))
		}
		require.Zero(t, received(numbered(9)))
	})
}
