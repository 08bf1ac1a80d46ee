package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/core/request/lifecycle"
	"phonebill/ports"
)

type attempt func(context.Context, ports.Call, request.Request) request.Outcome

type world struct {
	lifecycle.Service
	store    memory.Requests
	reported []error
	parked   []id.ID
}

func newWorld(a attempt) *world {
	w := &world{}
	w.Service = lifecycle.Service{
		Store: &w.store, Attempt: a, Lane: quota.Read, Timeout: 10 * time.Second, Now: time.Now,
		Retry:  request.Retry{Attempts: 3, FirstWait: time.Minute, MaxWait: time.Hour},
		Random: func() float64 { return 0 }, NewID: func() id.ID { return id.ID(uuid.Must(uuid.NewV7())) },
		Report: func(_ context.Context, err error) { w.reported = append(w.reported, err) },
		Parked: func(_ context.Context, r request.Request) { w.parked = append(w.parked, r.ID) },
	}
	return w
}

func completes(context.Context, ports.Call, request.Request) request.Outcome {
	return request.Outcome{Status: request.Completed, Result: []byte("ok")}
}

func hangs(ctx context.Context, _ ports.Call, _ request.Request) request.Outcome {
	<-ctx.Done()
	return request.Outcome{Note: "TIMEOUT"}
}

var asked = request.Request{Kind: "SAMPLE", UserID: "hong", Subject: "member-7", Payload: []byte("5")}

func key(t *testing.T, s string) request.Key {
	t.Helper()
	k, err := request.ParseKey(s)
	require.NoError(t, err)
	return k
}

func TestARequestIsAnsweredWithinTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(completes)
		r, replayed, err := w.Accept(t.Context(), asked, key(t, "k"))
		require.NoError(t, err)
		require.False(t, replayed)
		require.Equal(t, request.Completed, r.Status)
		again, replayed, err := w.Accept(t.Context(), asked, key(t, "k"))
		require.NoError(t, err)
		require.True(t, replayed)
		require.Equal(t, r, again)
		other := asked
		other.Payload = []byte("6")
		_, _, err = w.Accept(t.Context(), other, key(t, "k"))
		require.ErrorIs(t, err, fault.New(fault.IdempotencyKeyReused))
	})
}

func TestASlowRequestIsCarriedOnUntilItIsParked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(hangs)
		began := time.Now()
		r, _, err := w.Accept(t.Context(), asked, request.Key{})
		require.NoError(t, err)
		require.Equal(t, request.Processing, r.Status)
		require.Equal(t, request.AnswerBudget, time.Since(began))
		w.Wait()
		for range 2 {
			time.Sleep(5 * time.Minute)
			n, err := w.Step(t.Context(), 10)
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		r, err = w.Get(t.Context(), "hong", r.ID, time.Minute)
		require.NoError(t, err)
		require.Equal(t, []any{request.Parked, 3}, []any{r.Status, r.Attempts})
		require.Equal(t, []id.ID{r.ID}, w.parked)
		w.Attempt = completes
		require.NoError(t, w.Resume(t.Context(), r.ID))
		_, err = w.Step(t.Context(), 10)
		require.NoError(t, err)
		r, err = w.Get(t.Context(), "hong", r.ID, 0)
		require.NoError(t, err)
		require.Equal(t, request.Completed, r.Status)
	})
}

func TestAWorkerThatDiedIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(completes)
		r := asked
		r.ID, r.Status, r.Attempts, r.NextAttemptAt = id.ID{1}, request.Processing, 1, time.Now().Add(15*time.Second)
		require.NoError(t, w.store.Add(t.Context(), r, request.KeyUse{}))
		n, err := w.Step(t.Context(), 10)
		require.NoError(t, err)
		require.Zero(t, n, "its lease is not over")
		time.Sleep(15 * time.Second)
		n, err = w.Step(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		r, err = w.Get(t.Context(), "hong", r.ID, 0)
		require.NoError(t, err)
		require.Equal(t, []any{request.Completed, 2}, []any{r.Status, r.Attempts})
	})
}

func TestOnlyTheOwnerSeesAndCancels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(context.Context, ports.Call, request.Request) request.Outcome {
			return request.Outcome{Status: request.Parked}
		})
		r, _, err := w.Accept(t.Context(), asked, request.Key{})
		require.NoError(t, err)
		for _, user := range []auth.UserID{"kim", ""} {
			_, err = w.Get(t.Context(), user, r.ID, 0)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
			_, err = w.Cancel(t.Context(), user, r.ID)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
		}
		r, err = w.Cancel(t.Context(), "hong", r.ID)
		require.NoError(t, err)
		require.Equal(t, request.Cancelled, r.Status)
		_, err = w.Cancel(t.Context(), "hong", r.ID)
		require.ErrorIs(t, err, fault.New(fault.StateConflict))
		require.ErrorIs(t, w.Resume(t.Context(), r.ID), fault.New(fault.StateConflict))
		require.ErrorIs(t, w.Resume(t.Context(), id.ID{9}), fault.New(fault.ResourceNotFound))
	})
}

// failing is a store that is away.
type failing struct{ memory.Requests }

var errAway = errors.New("away")

func (*failing) Add(context.Context, request.Request, request.KeyUse) error { return errAway }

func (*failing) Save(context.Context, request.Request) error { return errAway }

func (*failing) Claim(context.Context, time.Time, time.Duration, int) ([]request.Request, error) {
	return nil, errAway
}

func TestAStoreThatIsAwayIsNoSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, away := newWorld(completes), &failing{}
		w.Store = away
		_, _, err := w.Accept(t.Context(), asked, request.Key{})
		require.ErrorIs(t, err, errAway)
		_, err = w.Step(t.Context(), 1)
		require.ErrorIs(t, err, errAway)
		w.Store = saveFails{&w.store}
		r, _, err := w.Accept(t.Context(), asked, request.Key{})
		require.NoError(t, err)
		require.Equal(t, request.Processing, r.Status, "it is stored and goes on when its lease is over")
		require.ErrorIs(t, w.reported[0], errAway)
	})
}

// saveFails stores new requests and nothing else.
type saveFails struct{ *memory.Requests }

func (saveFails) Save(context.Context, request.Request) error { return errAway }
