package prefetch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/prefetch"
	"phonebill/core/line"
	"phonebill/ports"
)

type store struct {
	memory.ActiveLines
	broken error
}

func (s *store) NoteActiveLine(ctx context.Context, k freshness.Kind, lines []line.Number, at, due time.Time) error {
	if s.broken != nil {
		return s.broken
	}
	return s.ActiveLines.NoteActiveLine(ctx, k, lines, at, due)
}

type world struct {
	*prefetch.Service
	store   *store
	fetched []line.Number
	trouble error
}

func newWorld() *world {
	w := &world{store: &store{}}
	w.Service = w.service()
	return w
}

func (w *world) service() *prefetch.Service {
	return &prefetch.Service{
		Kind: freshness.Customers, Lines: w.store, Active: 24 * time.Hour, Now: time.Now,
		Open: func(time.Time) bool { return true },
		Next: func(at time.Time) time.Time { return at.Add(time.Hour) },
		Fetch: func(_ context.Context, n line.Number) (time.Time, error) {
			if w.trouble != nil {
				return time.Time{}, w.trouble
			}
			w.fetched = append(w.fetched, n)
			return time.Now(), nil
		},
	}
}

func number(t *testing.T, i int) line.Number {
	t.Helper()
	n, err := line.Parse(fmt.Sprintf("010%08d", i))
	require.NoError(t, err)
	return n
}

// work steps every five seconds.
func (w *world) work(t *testing.T, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Second) {
		for {
			n, err := w.Step(t.Context())
			require.NoError(t, err)
			if n == 0 {
				break
			}
		}
	}
}

func TestActiveLinesAreFetchedEachTimeTheyAreDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 20 {
			w.NoteActive(number(t, i))
			w.NoteActive(number(t, i))
		}
		w.work(t, 59*time.Minute)
		require.Empty(t, w.fetched)
		w.work(t, 2*time.Minute)
		require.Len(t, w.fetched, 20)
		w.work(t, time.Hour)
		require.Len(t, w.fetched, 40)
		w.work(t, 48*time.Hour)
		require.Less(t, len(w.fetched), 20*26, "who is not here any more is forgotten")
		before := len(w.fetched)
		w.work(t, 5*time.Hour)
		require.Len(t, w.fetched, before)
	})
}

func TestItStopsWhenTheBudgetIsNeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 20 {
			w.NoteActive(number(t, i))
		}
		w.work(t, 30*time.Minute)
		asked := 0
		fetch := w.Fetch
		w.Fetch = func(ctx context.Context, n line.Number) (time.Time, error) {
			asked++
			if asked == 6 {
				return time.Time{}, fault.New(fault.ServiceUnavailable).RetryIn(20 * time.Minute).Because(ports.ErrNotAsked)
			}
			return fetch(ctx, n)
		}
		w.work(t, 45*time.Minute)
		require.Equal(t, 6, asked, "not again before there is budget")
		w.work(t, 15*time.Minute)
		require.Len(t, w.fetched, 20, "then it goes on where it stopped")
	})
}

func TestAnotherInstanceGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 20 {
			w.NoteActive(number(t, i))
		}
		w.work(t, time.Minute)
		time.Sleep(time.Hour)
		killed, kill := context.WithCancel(t.Context())
		fetch := w.Fetch
		w.Fetch = func(ctx context.Context, n line.Number) (time.Time, error) { // killed in the middle of a batch
			kill()
			<-ctx.Done()
			runtime.Goexit()
			return fetch(ctx, n)
		}
		go func() { _, _ = w.Step(killed) }()
		synctest.Wait()
		w.Service = w.service() // a new process on the same store
		w.work(t, 5*time.Minute)
		require.Len(t, w.fetched, 20)
	})
}

// TestALineThatKOSFailsOnDelaysNoOther: it costs no more than any other.
func TestALineThatKOSFailsOnDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 20 {
			w.NoteActive(number(t, i))
		}
		bad, asked := number(t, 3), 0
		fetch := w.Fetch
		w.Fetch = func(ctx context.Context, n line.Number) (time.Time, error) {
			if n == bad {
				asked++
				return time.Time{}, fault.New(fault.ServiceUnavailable)
			}
			return fetch(ctx, n)
		}
		w.work(t, 61*time.Minute)
		require.Len(t, w.fetched, 19)
		w.work(t, 22*time.Hour)
		require.LessOrEqual(t, asked, 24)
	})
}

func TestKOSHasNothingToTell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.NoteActive(number(t, 1))
		w.work(t, time.Minute)
		time.Sleep(time.Hour)
		asked := 0
		w.Fetch = func(context.Context, line.Number) (time.Time, error) {
			asked++
			return time.Time{}, fault.New(fault.LineNotFound)
		}
		w.work(t, 90*time.Minute)
		require.Equal(t, 2, asked, "it is due like any other")
	})
}

func TestOnlyWhenOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		night, err := freshness.ParseNight("02:00-05:00")
		require.NoError(t, err)
		w.Open, w.Next = night.Open, night.Next
		fetch := w.Fetch
		w.Fetch = func(ctx context.Context, n line.Number) (time.Time, error) {
			require.True(t, night.Open(time.Now()))
			return fetch(ctx, n)
		}
		w.NoteActive(number(t, 1))
		w.work(t, 24*time.Hour)
		require.Len(t, w.fetched, 1, "once a night")
	})
}

func TestAStoreInTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.NoteActive(number(t, 1))
		w.store.broken = errors.New("away")
		_, err := w.Step(t.Context())
		require.ErrorContains(t, err, "away")
		w.store.broken = nil
		w.work(t, 90*time.Minute)
		require.Len(t, w.fetched, 1, "no line is forgotten")
		for i := range 20_000 {
			w.NoteActive(number(t, i))
		}
		w.work(t, 2*time.Minute)
		n, err := w.store.Due(t.Context(), freshness.Customers, time.Now().Add(24*time.Hour), time.Time{}, time.Hour, 100_000)
		require.NoError(t, err)
		require.Len(t, n, 10_000, "bounded")
	})
}
