package keys_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/keys"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

var errBackend = errors.New("backend is in trouble")

type world struct {
	keys.SigningKeys
	store store
	now   time.Time
	made  atomic.Int64
}

type store struct {
	memory.SigningKeys
	list, retire, add error
}

func (s *store) List(ctx context.Context) ([]auth.SigningKey, error) {
	all, _ := s.SigningKeys.List(ctx)
	return all, s.list
}

func (s *store) AddNext(ctx context.Context, k auth.SigningKey, newest string) error {
	if s.add != nil {
		return s.add
	}
	return s.SigningKeys.AddNext(ctx, k, newest)
}

func (s *store) Retire(ctx context.Context, kid string, at time.Time) error {
	if s.retire != nil {
		return s.retire
	}
	return s.SigningKeys.Retire(ctx, kid, at)
}

func newWorld() *world {
	w := &world{now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	fresh := func() auth.SigningKey {
		return auth.SigningKey{KeyID: fmt.Sprint("k", w.made.Add(1)), Seed: personal.NewSecret("seed")}
	}
	w.SigningKeys = keys.SigningKeys{Keys: &w.store, Make: fresh, Schedule: auth.DefaultKeys(),
		Now: func() time.Time { return w.now }}
	return w
}

// states is kid: state of all keys.
func (w *world) states(t *testing.T) map[string]keys.State {
	t.Helper()
	list, err := w.List(t.Context())
	require.NoError(t, err)
	out := map[string]keys.State{}
	for _, k := range list {
		out[k.KeyID] = k.State
	}
	return out
}

func (w *world) step(t *testing.T) int {
	t.Helper()
	n, err := w.Step(t.Context())
	require.NoError(t, err)
	return n
}

func TestTheScheduleMakesKeysAheadOfTime(t *testing.T) {
	t.Parallel()
	w := newWorld()
	require.Equal(t, 1, w.step(t))
	require.Zero(t, w.step(t))
	require.Equal(t, map[string]keys.State{"k1": keys.Signing}, w.states(t))
	w.now = w.now.Add(w.Schedule.Every - w.Schedule.Lead - 1)
	require.Zero(t, w.step(t))
	w.now = w.now.Add(1)
	require.Equal(t, 1, w.step(t))
	require.Zero(t, w.step(t))
	require.Equal(t, map[string]keys.State{"k1": keys.Signing, "k2": keys.Next}, w.states(t))
	w.now = w.now.Add(w.Schedule.Lead)
	require.Equal(t, map[string]keys.State{"k1": keys.Previous, "k2": keys.Signing}, w.states(t))
	w.now = w.now.Add(w.Schedule.Keep + 1)
	require.Equal(t, map[string]keys.State{"k1": keys.Over, "k2": keys.Signing}, w.states(t))
}

func TestOfManyInstancesOneMakesTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := w.Step(t.Context()); err != nil {
				t.Errorf("unexpected error: %v", err)
			}
		})
	}
	all.Wait()
	require.Len(t, w.states(t), 1)
}

func TestRotateByCommand(t *testing.T) {
	t.Parallel()
	w := newWorld()
	k, err := w.Rotate(t.Context())
	require.NoError(t, err)
	require.Equal(t, keys.Signing, k.State, "there was none")
	w.now = w.now.Add(time.Hour)
	k, err = w.Rotate(t.Context())
	require.NoError(t, err)
	require.Equal(t, keys.Key{KeyID: "k2", State: keys.Next, CreatedAt: w.now,
		ActiveAt: w.now.Add(w.Schedule.Lead)}, k)
	again, err := w.Rotate(t.Context())
	require.NoError(t, err)
	require.Equal(t, k, again, "one waits already")
	require.Equal(t, map[string]keys.State{"k1": keys.Signing, "k2": keys.Next}, w.states(t))
}

func TestRotateNowRetiresAllOtherKeys(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.step(t)
	w.now = w.now.Add(time.Hour)
	_, err := w.Rotate(t.Context())
	require.NoError(t, err)
	k, err := w.RotateNow(t.Context())
	require.NoError(t, err)
	require.Equal(t, keys.Signing, k.State)
	require.Equal(t, map[string]keys.State{"k1": keys.Over, "k2": keys.Over,
		k.KeyID: keys.Signing}, w.states(t), "the waiting one too")
	require.Zero(t, w.step(t))
	w.now = w.now.Add(time.Hour)
	require.Equal(t, keys.Signing, w.states(t)[k.KeyID], "the retired one that began later does not come back")
}

func TestFailuresAreReturned(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.step(t)
	w.store.retire = errBackend
	_, err := w.RotateNow(t.Context())
	require.ErrorIs(t, err, errBackend)
	w.store.add = fault.New(fault.StateConflict)
	_, err = w.RotateNow(t.Context())
	require.ErrorIs(t, err, fault.New(fault.StateConflict))
	w.now = w.now.Add(w.Schedule.Every)
	require.Zero(t, w.step(t), "another instance was faster")
	w.store.list = errBackend
	_, err = w.Step(t.Context())
	require.ErrorIs(t, err, errBackend)
	_, err = w.Rotate(t.Context())
	require.ErrorIs(t, err, errBackend)
	_, err = w.RotateNow(t.Context())
	require.ErrorIs(t, err, errBackend)
	_, err = w.List(t.Context())
	require.ErrorIs(t, err, errBackend)
}
