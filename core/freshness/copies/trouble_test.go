package copies_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/ports"
)

// TestStampedeOnAFailingKOS has 1,000 clients a second for a minute: one call for each rest, and the rests grow.
func TestStampedeOnAFailingKOS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4)
		w.trouble = broken
		var all sync.WaitGroup
		var early atomic.Int32
		for i := range 6000 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				_, err := w.processes[i%4].Get(t.Context(), w.query())
				require.Equal(t, fault.ServiceUnavailable, fault.From(err).Code())
				if fault.From(err).RetryAfter() > 0 {
					early.Add(1)
				}
			})
		}
		all.Wait()
		// Three tries, then one for each rest of 3.75, 7.5, 15, 22.5 s (rnd is 0.5).
		require.LessOrEqual(t, w.calls, 8)
		require.GreaterOrEqual(t, w.calls, 7)
		require.Equal(t, 1, w.most, "never two at a time")
		require.Greater(t, early.Load(), int32(4000), "most get a Retry-After")
	})
}

func TestTransientFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.trouble = func(call int) error {
			if call < 3 {
				return broken(call)
			}
			return nil
		}
		began := time.Now()
		got, err := w.processes[0].Get(t.Context(), w.query())
		require.NoError(t, err)
		require.Equal(t, 3, got.Attempts)
		require.Equal(t, []int{1, 2, 3}, w.tries, "the call log has the number of each try")
		require.Equal(t, 1500*time.Millisecond+225*time.Millisecond+450*time.Millisecond, time.Since(began))

		w.calls, w.held, w.trouble, w.takes = 0, nil, broken, 100*time.Millisecond
		got, err = w.processes[0].Get(t.Context(), w.query())
		require.Error(t, err)
		require.Equal(t, 3, got.Attempts, "no more than that")
		require.Equal(t, 3, w.calls)

		time.Sleep(time.Hour)
		w.calls, w.tries = 0, nil
		w.trouble = func(int) error { return fault.New(fault.ServiceUnavailable) }
		q := w.query()
		q.PriorAttempts = 1
		_, err = w.processes[0].Get(t.Context(), q)
		require.Error(t, err)
		require.Equal(t, []int{2}, w.tries, "what will not pass is not tried again")
	})
}

func TestNoTryWithoutTimeForAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.trouble, w.takes = broken, 2900*time.Millisecond
		_, err := w.processes[0].Get(t.Context(), w.query())
		require.Error(t, err)
		require.Equal(t, 1, w.calls)
	})
}

// TestFlightsAway is a cache that cannot be asked about turns: each process asks for itself, once.
func TestFlightsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		for _, p := range w.processes {
			p.Flights = noFlights{}
		}
		w.lost = true
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				_, err := w.processes[i%2].Get(t.Context(), w.query())
				require.NoError(t, err)
			})
		}
		all.Wait()
		require.Equal(t, 2, w.calls)
	})
}

type noFlights struct{}

func (noFlights) Begin(context.Context, freshness.Subject, time.Duration) (freshness.Flight, error) {
	return freshness.Flight{State: freshness.Pending}, errors.New("away")
}

func (noFlights) Finish(context.Context, freshness.Subject, string, freshness.Outcome) error {
	return errors.New("away")
}

func TestALostLeaseIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		dead, err := w.flights.Begin(t.Context(), w.query().Subject, time.Second) // and never lands
		require.NoError(t, err)
		require.Equal(t, freshness.Granted, dead.State)
		got, err := w.processes[0].Get(t.Context(), w.query())
		require.NoError(t, err)
		require.Equal(t, freshness.FromKOS, got.Source)
		require.Equal(t, 1, w.calls)

		w.held = nil
		_, err = w.flights.Begin(t.Context(), w.query().Subject, time.Minute)
		require.NoError(t, err)
		began := time.Now()
		_, err = w.processes[0].Get(t.Context(), w.query())
		require.ErrorIs(t, err, ports.ErrNoAnswer)
		require.LessOrEqual(t, time.Since(began), 3200*time.Millisecond)
	})
}

func TestKOSsNoIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.trouble = func(int) error { return fault.New(fault.BillNotFound) }
		for i := range 10 {
			got, err := w.processes[i%2].Get(t.Context(), w.query())
			require.Equal(t, fault.BillNotFound, fault.From(err).Code())
			require.Equal(t, min(1, 1-min(i, 1)), got.Attempts)
		}
		require.Equal(t, 1, w.calls)
		require.Equal(t, freshness.Counts{Hits: 4, Misses: 1}, w.processes[0].Tally.Counts())
		time.Sleep(time.Second)
		q := w.query()
		q.Since = time.Now()
		_, err := w.processes[0].Get(t.Context(), q)
		require.Error(t, err)
		require.Equal(t, 2, w.calls, "a no from before the question does not count")
		time.Sleep(time.Minute)
		w.trouble = nil
		_, err = w.processes[1].Get(t.Context(), w.query())
		require.NoError(t, err, "and not for long")
	})
}

func TestOldCopies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.trouble = broken
		w.hold(2 * time.Minute)
		got, err := w.processes[0].Get(t.Context(), w.query())
		require.NoError(t, err)
		require.Equal(t, freshness.FromStale, got.Source)
		require.Equal(t, 1, w.calls, "who has something to show does not try twice")
		w.hold(2 * time.Hour)
		_, err = w.processes[0].Get(t.Context(), w.query())
		require.Error(t, err, "too old to be shown")
		w.hold(2 * time.Minute)
		q := w.query()
		of(q).mayServeStale = func(error, int) bool { return false }
		_, err = w.processes[0].Get(t.Context(), q)
		require.Error(t, err)
		require.EqualValues(t, 1, w.processes[0].Tally.Counts().Stale)
	})
}

// TestAStoreAwayDoesNotUndoSingleFlight: what cannot be read back is shared all the same.
func TestAStoreAwayDoesNotUndoSingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		q := w.query()
		of(q).read = func(context.Context) (answer, error) { return answer{}, errors.New("away") }
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				got, err := w.processes[0].Get(t.Context(), q)
				require.NoError(t, err)
				require.Equal(t, 1, got.Value.call)
			})
		}
		all.Wait()
		require.Equal(t, 1, w.calls)
	})
}

// TestALaggingReadIsNoReasonToAsk: another process has stored a new copy, but a read still returns the old one.
func TestALaggingReadIsNoReasonToAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.hold(0)
		old := answer{at: time.Now().Add(-w.limits.Soft)}
		q := w.query()
		of(q).read, of(q).committed = func(context.Context) (answer, error) { return old, nil }, w.latest
		got, err := w.processes[0].Get(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, *w.held, got.Value)
		require.Zero(t, w.calls)
	})
}

// TestABreakerDoesNotUndoARest: failures in a row stay known through a question that was not asked.
func TestABreakerDoesNotUndoARest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.trouble = broken
		for range 3 {
			_, _ = w.processes[0].Get(t.Context(), w.query())
			time.Sleep(15 * time.Second)
		}
		w.trouble = func(int) error {
			return fault.New(fault.ServiceUnavailable).RetryIn(time.Second).Because(ports.ErrNotAsked)
		}
		time.Sleep(15 * time.Second)
		_, err := w.processes[0].Get(t.Context(), w.query())
		require.ErrorIs(t, err, ports.ErrNotAsked)
		w.trouble, w.calls = broken, 0
		_, _ = w.processes[0].Get(t.Context(), w.query())
		_, err = w.processes[0].Get(t.Context(), w.query())
		require.Error(t, err)
		require.Equal(t, 1, w.calls, "one try, then the long rest")
	})
}

// TestAStoreThatHangsHoldsNothing: KOS is asked in time all the same.
func TestAStoreThatHangsHoldsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		q := w.query()
		of(q).read = func(ctx context.Context) (answer, error) {
			<-ctx.Done()
			return answer{}, ctx.Err()
		}
		began := time.Now()
		_, err := w.processes[0].Get(t.Context(), q)
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(began), 2500*time.Millisecond)
	})
}

// TestAPanicIsAnError of the question that met it, and of no other.
func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		q := w.query()
		of(q).ask = func(context.Context, ports.Call) (answer, error) { panic("a bug") }
		_, err := w.processes[0].Get(t.Context(), q)
		require.ErrorContains(t, err, "panic: a bug")
		require.Equal(t, fault.InternalServerError, fault.From(err).Code())
		time.Sleep(time.Minute)
		_, err = w.processes[0].Get(t.Context(), w.query())
		require.NoError(t, err)
	})
}

func TestWhatCannotBeKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.lost = true
		_, err := w.processes[0].Get(t.Context(), w.query())
		require.NoError(t, err, "KOS has answered")
		q := w.query()
		q.Policy.Durable = true
		_, err = w.processes[0].Get(t.Context(), q)
		require.ErrorContains(t, err, "disk full")
		require.Equal(t, 2, w.calls)
		w.lost = false
		_, err = w.processes[0].Get(t.Context(), q)
		require.NoError(t, err, "it was not KOS that failed")
	})
}

// TestQuotaUsedUpLeavesNoTrace is KOS not asked: the next one asks, who may have another lane or come when there is a
// call again.
func TestQuotaUsedUpLeavesNoTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.trouble = func(int) error {
			return fault.New(fault.ServiceUnavailable).RetryIn(time.Minute).Because(ports.ErrNotAsked)
		}
		got, err := w.processes[0].Get(t.Context(), w.query())
		require.ErrorIs(t, err, ports.ErrNotAsked)
		require.Equal(t, time.Minute, fault.From(err).RetryAfter())
		require.Zero(t, got.Attempts)
		require.Equal(t, 1, w.calls)
		w.trouble = nil
		_, err = w.processes[0].Get(t.Context(), w.query())
		require.NoError(t, err)

		w.held, w.calls = nil, 0
		w.trouble = func(int) error {
			return fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNotAsked, ports.ErrTransient))
		}
		got, err = w.processes[0].Get(t.Context(), w.query())
		require.Error(t, err)
		require.Zero(t, got.Attempts, "no connection: nothing was asked")
		require.Equal(t, 3, w.calls, "but it was tried as often as allowed")
	})
}

// slowToFinish gives its turns back late.
type slowToFinish struct{ ports.Flights }

func (f slowToFinish) Finish(ctx context.Context, of freshness.Subject, token string, l freshness.Outcome) error {
	time.Sleep(time.Second)
	return f.Flights.Finish(ctx, of, token, l)
}

// TestCallsOfAFlightThatHasNotLandedCount: who gives up waiting for it knows how often it has asked.
func TestCallsOfAFlightThatHasNotLandedCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.takes = 0
		w.processes[0].Flights = slowToFinish{w.flights}
		w.trouble = func(call int) error {
			if call == 1 {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.takes = time.Hour
				return fault.New(fault.ServiceUnavailable).Because(ports.ErrTransient)
			}
			return nil
		}
		got, err := w.processes[0].Get(t.Context(), w.query())
		require.ErrorIs(t, err, ports.ErrNoAnswer)
		require.Equal(t, 2, got.Attempts)
		w.processes[0].Wait()
		require.Equal(t, 2, w.calls)
	})
}
