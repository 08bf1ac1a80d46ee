package inquiry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/request"
	"phonebill/ports"
)

type keys struct {
	memory.IdempotencyKeys
	claim error
	takes time.Duration   // each Claim
	held  error           // what Release errs with
	hangs bool            // Release does
	first *request.KeyUse // what a Claim returns instead
}

func (k *keys) Claim(ctx context.Context, u request.KeyUse, since time.Time, instead id.ID) (request.KeyUse, error) {
	if k.takes > 0 {
		select {
		case <-time.After(k.takes):
		case <-ctx.Done():
			return u, fault.New(fault.ServiceUnavailable).Because(ctx.Err())
		}
	}
	switch {
	case k.claim != nil:
		return u, k.claim
	case k.first != nil && !instead.IsZero():
		return *k.first, nil
	}
	return k.IdempotencyKeys.Claim(ctx, u, since, instead)
}

func (k *keys) Release(ctx context.Context, u request.KeyUse) error {
	if k.hangs {
		<-ctx.Done()
		return fault.New(fault.ServiceUnavailable).Because(ctx.Err())
	}
	if k.held != nil {
		return k.held
	}
	return k.IdempotencyKeys.Release(ctx, u)
}

func (w *world) once(t *testing.T, key, month string) (inquiry.Result, error) {
	t.Helper()
	k, err := request.ParseKey(key)
	require.NoError(t, err)
	return w.AskOnce(t.Context(), w.me, w.line, month, k)
}

func TestAKeyAnswersWhatItsInquiryCameTo(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		first, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.Equal(t, bill.Completed, first.Inquiry.Status)
		time.Sleep(2 * time.Hour) // the copy is old by now; the answer stays what it was
		again, err := w.once(t, "k", "")
		require.NoError(t, err)
		first.Replayed = true
		require.Equal(t, first, again)
		require.Equal(t, 1, w.source.calls())

		_, err = w.once(t, "k", "2000-01")
		require.ErrorIs(t, err, fault.New(fault.IdempotencyKeyReused))
		other, err := w.once(t, "k-2", "")
		require.NoError(t, err)
		require.NotEqual(t, first.Inquiry.ID, other.Inquiry.ID)
		unkeyed, err := w.AskOnce(t.Context(), w.me, w.line, "", request.Key{})
		require.NoError(t, err)
		require.NotEqual(t, other.Inquiry.ID, unkeyed.Inquiry.ID)

		time.Sleep(request.KeyWindow)
		later, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.NotEqual(t, first.Inquiry.ID, later.Inquiry.ID, "a day later the key is new")
	})
}

func TestAKeyIsNotAnotherCustomers(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		mine, err := w.once(t, "k", "")
		require.NoError(t, err)
		w.me.UserID = "spouse"
		other, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.NotEqual(t, mine.Inquiry.ID, other.Inquiry.ID)
		w.me = auth.Principal{UserID: "hong"}
		_, err = w.once(t, "k", "")
		require.ErrorIs(t, err, fault.New(fault.PermissionDenied), "whose line it is comes first")
	})
}

func TestAKeyWhoseInquiryGoesOn(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(4 * time.Second)
		first, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.Equal(t, bill.Processing, first.Inquiry.Status)
		again, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.Equal(t, first.Inquiry.ID, again.Inquiry.ID)
		require.True(t, again.Replayed)
		require.Nil(t, again.Bill)
		w.work(t, time.Minute)
		end, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.Equal(t, first.Inquiry.ID, end.Inquiry.ID)
		require.NotNil(t, end.Bill)
	})
}

func TestARefusalIsKeptAndTroubleIsNot(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(0, fault.New(fault.BillNotFound))
		_, first := w.once(t, "gone", "")
		require.ErrorIs(t, first, fault.New(fault.BillNotFound))
		_, again := w.once(t, "gone", "")
		require.ErrorIs(t, again, fault.New(fault.BillNotFound))
		require.Equal(t, fault.From(first).Details(), fault.From(again).Details(), "the same request")
		require.Equal(t, fault.From(first).Message(), fault.From(again).Message())
		require.Equal(t, []bool{false, true}, []bool{fault.From(first).Replay(), fault.From(again).Replay()})
	})
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(0, broken())
		_, err := w.once(t, "trouble", "")
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		time.Sleep(time.Minute)
		r, err := w.once(t, "trouble", "")
		require.NoError(t, err)
		require.NotNil(t, r.Bill)
		same, err := w.once(t, "trouble", "")
		require.NoError(t, err)
		r.Replayed = true
		require.Equal(t, r, same)
	})
}

func TestAKeyOfAnInquiryThatWasTakenAnswersItsFailure(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(time.Minute)
		first, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.Equal(t, bill.Processing, first.Inquiry.Status)
		w.work(t, 3*time.Minute)
		require.Equal(t, bill.Timeout, w.read(t, first.Inquiry.ID).Status)
		asked := w.source.calls()
		w.source.set(0)
		_, err = w.once(t, "k", "")
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		require.Equal(t, first.Inquiry.ID.String(), fault.From(err).Details()["requestId"])
		require.Equal(t, asked, w.source.calls())
	})
	bubble(t, func(t *testing.T, w *world) { // refused, but its key cannot be given back
		w.keys.held = errBackend
		w.source.set(0, broken())
		_, first := w.once(t, "k", "")
		require.ErrorIs(t, first, fault.New(fault.ServiceUnavailable))
		require.Equal(t, []error{errBackend}, w.reported)
		time.Sleep(time.Minute)
		_, again := w.once(t, "k", "")
		require.ErrorIs(t, again, fault.New(fault.ServiceUnavailable))
		require.Equal(t, fault.From(first).Details(), fault.From(again).Details())
	})
}

func TestAKeyOutlivesItsMonth(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		now := time.Date(2000, 1, 31, 14, 59, 30, 0, time.UTC) // the last minute of January in Seoul
		w.Now = func() time.Time { return now }
		first, err := w.once(t, "k", "1999-08")
		require.NoError(t, err)
		now = now.Add(time.Minute)
		again, err := w.once(t, "k", "1999-08")
		require.NoError(t, err)
		first.Replayed = true
		require.Equal(t, first, again)
		_, err = w.once(t, "late", "1999-08")
		require.ErrorIs(t, err, fault.New(fault.ValidationError))
		_, err = w.once(t, "late", "1999-09")
		require.NoError(t, err, "a request that was refused leaves its key free")
	})
}

func TestAKeyWithoutItsInquiry(t *testing.T) {
	t.Parallel()
	use := func(w *world, age time.Duration) {
		k, err := request.ParseKey("k")
		require.NoError(t, err)
		_, err = w.keys.IdempotencyKeys.Claim(t.Context(), request.KeyUse{
			User: w.me.UserID, Key: k, Payload: request.PayloadOf(w.line.Digits(), ""), Request: id.ID{9},
			At: time.Now().Add(-age),
		}, time.Time{}, id.ID{})
		require.NoError(t, err)
	}
	bubble(t, func(t *testing.T, w *world) {
		use(w, time.Second)
		_, err := w.once(t, "k", "")
		require.ErrorIs(t, err, fault.New(fault.StateConflict), "it is about to be stored")
		time.Sleep(10 * time.Second)
		r, err := w.once(t, "k", "")
		require.NoError(t, err, "it was lost")
		require.NotNil(t, r.Bill)
	})
	bubble(t, func(t *testing.T, w *world) {
		use(w, time.Minute)
		w.keys.first = &request.KeyUse{Request: id.ID{8}}
		_, err := w.once(t, "k", "")
		require.ErrorIs(t, err, fault.New(fault.StateConflict), "somebody else was first to take it over")
		require.Equal(t, id.ID{8}.String(), fault.From(err).Details()["requestId"])
	})
}

func TestKeysThatHangCostTheCustomerLittle(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		w.keys.takes = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 2850*time.Millisecond)
		defer cancel()
		key, err := request.ParseKey("k")
		require.NoError(t, err)
		began := time.Now()
		r, err := w.AskOnce(ctx, w.me, w.line, "", key)
		require.NoError(t, err)
		require.Equal(t, freshness.FromCache, r.Inquiry.Source)
		require.Equal(t, 300*time.Millisecond, time.Since(began))
		require.Equal(t, began, r.Inquiry.RequestedAt)

		w.keys.takes = 200 * time.Millisecond
		w.source.set(5 * time.Second)
		began = time.Now()
		r, err = w.once(t, "slow", "1999-12")
		require.NoError(t, err)
		require.Equal(t, bill.Processing, r.Inquiry.Status)
		require.Equal(t, 2700*time.Millisecond, time.Since(began), "looking up the key is part of the answer budget")
		require.Empty(t, w.reported)
	})
}

func TestKeysThatCannotBeLookedUpAreNoReasonToRefuse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.keys.claim = errBackend
		r, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.NotNil(t, r.Bill)
		require.Equal(t, []error{errBackend}, w.reported)
		w.keys.claim = fault.New(fault.ServiceUnavailable)
		_, err = w.once(t, "k", "")
		require.NoError(t, err)
		require.Len(t, w.reported, 1, "trouble is no news")
		w.Wait()
		w.Copies.Wait()
	})
	var _ ports.IdempotencyKeys = &keys{}
}
