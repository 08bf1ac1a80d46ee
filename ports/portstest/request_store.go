package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/request"
	"phonebill/ports"
)

// plain returns the n-th request, just accepted, leased until after(60+n).
func plain(n int) request.Request {
	return request.Request{
		ID: numbered(n), Kind: "SAMPLE", UserID: Owner().UserID, Subject: "member-7", Payload: []byte(`{"points":5}`),
		Status: request.Processing, RequestedAt: after(n), NextAttemptAt: after(60 + n), Attempts: 1,
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
}

// keyOf returns the use of one idempotency key for a request.
func keyOf(t *testing.T, r request.Request, payload string) request.KeyUse {
	t.Helper()
	k, err := request.ParseKey("k")
	require.NoError(t, err)
	return request.KeyUse{User: r.UserID, Key: k, Payload: request.PayloadOf(payload), Request: r.ID, At: r.RequestedAt}
}

// RequestStore is the suite of ports.RequestStore and of the outbox on its rows.
func RequestStore(t *testing.T, open func(t *testing.T) (ports.RequestStore, ports.Outbox[ports.RequestResult])) {
	t.Helper()
	t.Run("what is added is read as it was", func(t *testing.T) {
		t.Parallel()
		store, _ := open(t)
		r := plain(1)
		noError(t, store.Add(t.Context(), r, unkeyed))
		got, err := store.Get(t.Context(), r.ID)
		noError(t, err)
		require.Equal(t, r, got)
		_, err = store.Get(t.Context(), numbered(2))
		requireFault(t, fault.ResourceNotFound, err)
	})
	t.Run("a key stands for one request", func(t *testing.T) {
		t.Parallel()
		store, _ := open(t)
		first, second := plain(1), plain(2)
		use := keyOf(t, first, "a")
		noError(t, store.Add(t.Context(), first, use))
		require.ErrorIs(t, store.Add(t.Context(), second, keyOf(t, second, "a")), ports.ErrKeyUsed)
		_, err := store.Get(t.Context(), second.ID)
		requireFault(t, fault.ResourceNotFound, err)
		used, err := store.Used(t.Context(), keyOf(t, second, "a"), after(0))
		noError(t, err)
		require.Equal(t, use, used)
		used, err = store.Used(t.Context(), keyOf(t, second, "b"), after(0))
		noError(t, err)
		requireFault(t, fault.IdempotencyKeyReused, keyOf(t, second, "b").Repeats(used))
		_, err = store.Used(t.Context(), use, after(2))
		requireFault(t, fault.ResourceNotFound, err)
	})
	t.Run("a claim leases, counts and fences", func(t *testing.T) {
		t.Parallel()
		store, _ := open(t)
		r := plain(1)
		noError(t, store.Add(t.Context(), r, unkeyed))
		due, err := store.Claim(t.Context(), after(60), time.Minute, 10)
		noError(t, err)
		require.Empty(t, due, "its first attempt is being made")
		due, err = store.Claim(t.Context(), after(61), time.Minute, 10)
		noError(t, err)
		r.Attempts, r.Fence, r.NextAttemptAt = 2, 1, after(121)
		require.Equal(t, []request.Request{r}, due)
		requireFault(t, fault.StateConflict, store.Save(t.Context(), plain(1)))
		r.Status, r.Result, r.ProcessedAt, r.NextAttemptAt = request.Completed, []byte("done"), after(62), time.Time{}
		noError(t, store.Save(t.Context(), r))
		got, err := store.Get(t.Context(), r.ID)
		noError(t, err)
		require.Equal(t, r, got)
		requireFault(t, fault.StateConflict, store.Save(t.Context(), r))
	})
	t.Run("the longest due is claimed first, a parked one never", func(t *testing.T) {
		t.Parallel()
		store, _ := open(t)
		for _, n := range []int{3, 1, 2} {
			noError(t, store.Add(t.Context(), plain(n), unkeyed))
		}
		parked := plain(1)
		parked.Status, parked.NextAttemptAt, parked.Note = request.Parked, time.Time{}, "no answer"
		noError(t, store.Save(t.Context(), parked))
		due, err := store.Claim(t.Context(), after(100), time.Minute, 1)
		noError(t, err)
		require.Equal(t, numbered(2), due[0].ID)
		page, total, err := store.Parked(t.Context(), 1, 20)
		noError(t, err)
		require.Equal(t, 1, total)
		require.Equal(t, []request.Request{parked}, page)
		parked.Status, parked.NextAttemptAt = request.Processing, after(90)
		noError(t, store.Save(t.Context(), parked))
		due, err = store.Claim(t.Context(), after(100), time.Minute, 10)
		noError(t, err)
		require.ElementsMatch(t, []id.ID{numbered(1), numbered(3)}, []id.ID{due[0].ID, due[1].ID})
	})
	t.Run("history is by pages, the newest first", func(t *testing.T) {
		t.Parallel()
		store, _ := open(t)
		for n := 1; n <= 5; n++ {
			noError(t, store.Add(t.Context(), plain(n), unkeyed))
		}
		other := plain(6)
		other.Subject = "member-8"
		noError(t, store.Add(t.Context(), other, unkeyed))
		var seen []id.ID
		for page := 1; page <= 4; page++ {
			f := request.HistoryFilter{UserID: Owner().UserID, Subject: "member-7", Page: page, Size: 2}
			rows, total, err := store.History(t.Context(), f)
			noError(t, err)
			require.Equal(t, 5, total)
			for _, r := range rows {
				seen = append(seen, r.ID)
			}
		}
		require.Equal(t, []id.ID{numbered(5), numbered(4), numbered(3), numbered(2), numbered(1)}, seen)
	})
	t.Run("a final request is delivered, in order per subject", func(t *testing.T) {
		t.Parallel()
		store, outbox := open(t)
		for _, n := range []int{1, 2, 3} {
			r := plain(n)
			if n == 3 {
				r.Subject = "member-8"
			}
			noError(t, store.Add(t.Context(), r, unkeyed))
			r.Status, r.ProcessedAt, r.NextAttemptAt = request.Completed, after(10+n), time.Time{}
			noError(t, store.Save(t.Context(), r))
		}
		batches, err := outbox.Claim(t.Context(), after(20), time.Minute, 10, 10)
		noError(t, err)
		require.Len(t, batches, 2)
		for _, b := range batches {
			if len(b) == 2 {
				require.Equal(t, []id.ID{numbered(1), numbered(2)}, []id.ID{b[0].ID, b[1].ID})
				require.Equal(t, []int64{1, 2}, []int64{b[0].Sequence, b[1].Sequence})
				require.Equal(t, []byte(`{"points":5}`), b[0].Body.Request.Payload)
			}
		}
	})
}
