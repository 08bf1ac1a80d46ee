package portstest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/ports"
)

// use returns the key's use for the n-th request.
func use(key string, n int) request.KeyUse {
	k, err := request.ParseKey(key)
	if err != nil {
		panic(err)
	}
	return request.KeyUse{User: Owner().UserID, Key: k, Payload: request.PayloadOf(key), Request: numbered(n),
		At: after(n)}
}

// unlike returns the first use of a key as a request with another payload sees it.
func unlike(first request.KeyUse) request.KeyUse {
	first.Payload = request.Payload{}
	return first
}

// IdempotencyKeys is the suite of ports.IdempotencyKeys.
func IdempotencyKeys(t *testing.T, open func(t *testing.T) ports.IdempotencyKeys) {
	t.Helper()
	long := start.Add(-time.Hour)
	t.Run("a key stands for its first request", func(t *testing.T) {
		t.Parallel()
		keys, first := open(t), use("k-1", 1)
		claim := func(u request.KeyUse, since time.Time, instead id.ID) request.KeyUse {
			got, err := keys.Claim(t.Context(), u, since, instead)
			require.NoError(t, err)
			return got
		}
		require.Equal(t, first, claim(first, long, id.ID{}))
		again := use("k-1", 2)
		again.Payload = request.PayloadOf("else")
		require.Equal(t, unlike(first), claim(again, long, id.ID{}))
		require.Equal(t, use("k-2", 2), claim(use("k-2", 2), long, id.ID{}), "another key")
		other := again
		other.User = "stranger"
		require.Equal(t, other, claim(other, long, id.ID{}), "another user")
		require.Equal(t, unlike(first), claim(again, long, numbered(7)), "not instead of another request")
		require.Equal(t, again, claim(again, long, numbered(1)), "instead of the first")
		require.Equal(t, unlike(again), claim(use("k-1", 3), after(2), id.ID{}), "used at that moment")
		require.Equal(t, use("k-1", 4), claim(use("k-1", 4), after(3), id.ID{}), "used too long ago")
	})
	t.Run("a key that is released is new again", func(t *testing.T) {
		t.Parallel()
		keys, first := open(t), use("k", 1)
		require.NoError(t, keys.Release(t.Context(), first), "nothing to release")
		claim := func(u request.KeyUse) request.KeyUse {
			got, err := keys.Claim(t.Context(), u, long, id.ID{})
			require.NoError(t, err)
			return got
		}
		claim(first)
		other := use("k", 2)
		require.NoError(t, keys.Release(t.Context(), other))
		require.Equal(t, first, claim(other), "it stands for another request")
		stranger := first
		stranger.User = "stranger"
		require.NoError(t, keys.Release(t.Context(), stranger))
		require.Equal(t, first, claim(other), "it is another user's")
		require.NoError(t, keys.Release(t.Context(), first))
		require.Equal(t, other, claim(other))
	})
	t.Run("of many at once one gets the key", func(t *testing.T) {
		t.Parallel()
		keys := open(t)
		var won atomic.Int64
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				u := use("k", n+1)
				got, err := keys.Claim(t.Context(), u, long, id.ID{})
				noError(t, err)
				if got == u {
					won.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, won.Load())
	})
	t.Run("old uses are dropped, a few at a time", func(t *testing.T) {
		t.Parallel()
		keys := open(t)
		for n, key := range []string{"a", "b", "c", "d"} {
			_, err := keys.Claim(t.Context(), use(key, n+1), long, id.ID{})
			require.NoError(t, err)
		}
		for _, want := range []int{2, 1, 0} {
			n, err := keys.Forget(t.Context(), after(4), 2)
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
		got, err := keys.Claim(t.Context(), use("d", 9), long, id.ID{})
		require.NoError(t, err)
		require.Equal(t, use("d", 4), got)
	})
}

func cancelledOrders(t *testing.T, orders ports.Orders) {
	t.Helper()
	o := order(1, Line(1))
	require.NoError(t, orders.Add(t.Context(), o, unkeyed))
	gone, err := o.CancelByCustomer(after(2))
	require.NoError(t, err)
	gone = saved(t, orders, gone)
	unsaved(t, orders, gone)
	require.NoError(t, orders.Add(t.Context(), order(2, Line(1)), unkeyed), "the slot is free")
	sent := order(2, Line(1))
	sent.State, sent.Sends = product.Dispatched, 1
	sent = saved(t, orders, sent)
	late := sent
	late.State, late.ProcessedAt = product.Cancelled, after(3)
	unsaved(t, orders, late)
	back := sent
	back.State = product.Validated // KOS does not know it, but may have seen it
	back = saved(t, orders, back)
	back.State, back.ProcessedAt = product.Cancelled, after(4)
	unsaved(t, orders, back)
}

func keyedOrders(t *testing.T, orders ports.Orders) {
	t.Helper()
	used := func(u request.KeyUse, since time.Time) (request.KeyUse, error) {
		return orders.Used(t.Context(), u, since)
	}
	first := use("k", 1)
	_, err := used(first, start)
	requireFault(t, fault.ResourceNotFound, err)
	require.NoError(t, orders.Add(t.Context(), order(1, Line(1)), first))
	require.ErrorIs(t, orders.Add(t.Context(), order(2, Line(2)), use("k", 2)), ports.ErrKeyUsed)
	_, err = orders.Get(t.Context(), numbered(2))
	requireFault(t, fault.ResourceNotFound, err)
	requireFault(t, fault.ChangeInProgress, orders.Add(t.Context(), order(3, Line(1)), use("k-2", 3)))
	_, err = used(use("k-2", 3), start)
	requireFault(t, fault.ResourceNotFound, err)
	got, err := used(use("k", 9), start)
	require.NoError(t, err)
	require.Equal(t, first, got)
	other := use("k", 9)
	other.Payload = request.PayloadOf("else")
	got, err = used(other, start)
	require.NoError(t, err)
	require.Equal(t, unlike(first), got)
	_, err = used(first, after(2))
	requireFault(t, fault.ResourceNotFound, err)
	next := use("k", 4)
	next.At = first.At.Add(request.KeyWindow + time.Microsecond)
	require.NoError(t, orders.Add(t.Context(), order(4, Line(4)), next), "a day later the key is new")
}

func sameKeyAtOnce(t *testing.T, orders ports.Orders) {
	t.Helper()
	var won atomic.Int64
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			u := use("k", n)
			u.At = start
			err := orders.Add(t.Context(), order(n, Line(n)), u)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, ports.ErrKeyUsed) {
				noError(t, err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
}

func completedOrders(t *testing.T, orders ports.Orders) {
	t.Helper()
	changed := func(n int, since time.Time) bool {
		is, err := orders.ChangedSince(t.Context(), Line(n), since)
		require.NoError(t, err)
		return is
	}
	for n, end := range map[int]product.State{1: product.Completed, 2: product.Failed} {
		o := order(n, Line(n))
		require.NoError(t, orders.Add(t.Context(), o, unkeyed))
		require.False(t, changed(n, start))
		o.State, o.ProcessedAt = end, after(10)
		saved(t, orders, o)
	}
	require.True(t, changed(1, after(10)), "completed then, though requested before")
	require.False(t, changed(1, after(11)))
	require.False(t, changed(2, start))
}
