package fetch_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/fetch"
	"phonebill/core/quota"
	"phonebill/ports"
)

// told is what the KOS of these tests says: the number of the call, and when it was asked.
type told struct {
	call int
	at   time.Time
}

// world is several processes with one store, one set of flights and one KOS, under virtual time.
type world struct {
	flights   ports.Flights
	processes []*fetch.Service[told]
	limits    freshness.Limits

	mu      sync.Mutex
	held    *told
	lost    bool // the store takes nothing
	takes   time.Duration
	calls   int
	out     int // calls under way
	most    int
	tries   []int
	trouble func(call int) error
}

func newWorld(processes int) *world {
	w := &world{
		flights: memory.NewFlights(time.Now), limits: freshness.Limits{Soft: time.Minute, Hard: time.Hour},
		takes: 500 * time.Millisecond,
	}
	for range processes {
		w.processes = append(w.processes, &fetch.Service[told]{Flights: w.flights, Now: time.Now, Random: func() float64 { return 0.5 }})
	}
	return w
}

func (w *world) ask(ctx context.Context) (told, error) {
	w.mu.Lock()
	w.calls++
	w.out++
	w.most = max(w.most, w.out)
	w.tries = append(w.tries, ports.AttemptOf(ctx))
	t, trouble, takes := told{w.calls, time.Now()}, w.trouble, w.takes
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.out--
	}()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return told{}, fault.New(fault.ServiceUnavailable).Because(ports.ErrNoAnswer)
	}
	if trouble != nil {
		if err := trouble(t.call); err != nil {
			return told{}, err
		}
	}
	return t, nil
}

func (w *world) latest(context.Context) (told, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held == nil {
		return told{}, fault.New(fault.ResourceNotFound)
	}
	return *w.held, nil
}

func (w *world) question() fetch.Question[told] {
	return fetch.Question[told]{
		Subject: freshness.Subject{Kind: freshness.Bills}, Lane: quota.Read, Patience: 3 * time.Second, Attempts: 3,
		Latest: w.latest, Kept: w.latest,
		Judge: func(held told, since, now time.Time, rnd float64) freshness.State {
			return w.limits.Decide(held.at, since, now, rnd)
		},
		Ask: w.ask,
		Keep: func(_ context.Context, t told) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.lost {
				return errors.New("disk full")
			}
			w.held = &t
			return nil
		},
		Old: func(err error, _ int) bool { return fault.From(err).Kind() == fault.Unavailable },
	}
}

func (w *world) hold(age time.Duration) { w.held = &told{at: time.Now().Add(-age)} }

func broken(int) error { return fault.New(fault.ServiceUnavailable).Because(ports.ErrTransient) }

func TestMemoryFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.hold(30 * time.Second)
		for range 10 {
			got, err := w.processes[0].Get(t.Context(), w.question())
			require.NoError(t, err)
			require.Equal(t, freshness.FromCache, got.Source)
			require.Zero(t, got.Attempts)
		}
		require.Zero(t, w.calls)
		require.Equal(t, freshness.Counts{Hits: 10}, w.processes[0].Tally.Counts())
		w.hold(time.Minute)
		_, ok := w.processes[0].Hit(t.Context(), w.question())
		require.False(t, ok)
		got, err := w.processes[0].Get(t.Context(), w.question())
		require.NoError(t, err)
		require.Equal(t, fetch.Answer[told]{Copy: *w.held, Source: freshness.FromKOS, Attempts: 1}, got)
		require.Equal(t, freshness.Counts{Hits: 10, Misses: 1}, w.processes[0].Tally.Counts())
	})
}

// TestStampede is R4: 1,000 clients of four processes want one thing at once.
func TestStampede(t *testing.T) {
	t.Parallel()
	for name, age := range map[string]time.Duration{"nothing held": 0, "just expired": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(4)
				if age > 0 {
					w.hold(age)
				}
				var all sync.WaitGroup
				for i := range 1000 {
					all.Go(func() {
						time.Sleep(time.Duration(i) * time.Millisecond) // some come when the call is over
						got, err := w.processes[i%4].Get(t.Context(), w.question())
						require.NoError(t, err)
						require.Equal(t, 1, got.Copy.call)
					})
				}
				all.Wait()
				require.Equal(t, 1, w.calls)
				var sum freshness.Counts
				for _, p := range w.processes {
					c := p.Tally.Counts()
					sum = freshness.Counts{Hits: sum.Hits + c.Hits, Misses: sum.Misses + c.Misses, Coalesced: sum.Coalesced + c.Coalesced}
				}
				require.EqualValues(t, 1, sum.Misses)
				require.EqualValues(t, 1000, sum.Hits+sum.Misses+sum.Coalesced)
			})
		})
	}
}

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
				_, err := w.processes[i%4].Get(t.Context(), w.question())
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
		require.Greater(t, early.Load(), int32(4000), "most are told when to come again")
	})
}

func TestHiccupsAreTriedAgain(t *testing.T) {
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
		got, err := w.processes[0].Get(t.Context(), w.question())
		require.NoError(t, err)
		require.Equal(t, 3, got.Attempts)
		require.Equal(t, []int{1, 2, 3}, w.tries, "the call log is told")
		require.Equal(t, 1500*time.Millisecond+225*time.Millisecond+450*time.Millisecond, time.Since(began))

		w.calls, w.held, w.trouble, w.takes = 0, nil, broken, 100*time.Millisecond
		got, err = w.processes[0].Get(t.Context(), w.question())
		require.Error(t, err)
		require.Equal(t, 3, got.Attempts, "no more than that")
		require.Equal(t, 3, w.calls)

		time.Sleep(time.Hour)
		w.calls, w.tries = 0, nil
		w.trouble = func(int) error { return fault.New(fault.ServiceUnavailable) }
		q := w.question()
		q.Tried = 1
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
		_, err := w.processes[0].Get(t.Context(), w.question())
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
				_, err := w.processes[i%2].Get(t.Context(), w.question())
				require.NoError(t, err)
			})
		}
		all.Wait()
		require.Equal(t, 2, w.calls)
	})
}

type noFlights struct{}

func (noFlights) Begin(context.Context, freshness.Subject, time.Duration) (freshness.Flight, error) {
	return freshness.Flight{State: freshness.Theirs}, errors.New("away")
}

func (noFlights) Land(context.Context, freshness.Subject, string, freshness.Landing) error {
	return errors.New("away")
}

func TestALostLeaseIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		dead, err := w.flights.Begin(t.Context(), w.question().Subject, time.Second) // and never lands
		require.NoError(t, err)
		require.Equal(t, freshness.Mine, dead.State)
		got, err := w.processes[0].Get(t.Context(), w.question())
		require.NoError(t, err)
		require.Equal(t, freshness.FromKOS, got.Source)
		require.Equal(t, 1, w.calls)

		w.held = nil
		_, err = w.flights.Begin(t.Context(), w.question().Subject, time.Minute)
		require.NoError(t, err)
		began := time.Now()
		_, err = w.processes[0].Get(t.Context(), w.question())
		require.ErrorIs(t, err, ports.ErrNoAnswer)
		require.LessOrEqual(t, time.Since(began), 3200*time.Millisecond)
	})
}

// TestSince is a change's question: nothing that KOS was asked before it will do, but those who ask together share one call.
func TestSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.hold(0)
		var all sync.WaitGroup
		want := func(i int, from time.Duration, call int) {
			all.Go(func() {
				time.Sleep(from)
				q := w.question()
				q.Since = time.Now()
				got, err := w.processes[i%2].Get(t.Context(), q)
				require.NoError(t, err)
				require.Equal(t, call, got.Copy.call)
				require.False(t, got.Copy.at.Before(q.Since))
			})
		}
		want(0, time.Millisecond, 1)
		for i := range 50 {
			want(i, 100*time.Millisecond, 2) // while the first is under way
		}
		all.Wait()
		require.Equal(t, 2, w.calls)
	})
}

func TestKOSsNoIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.trouble = func(int) error { return fault.New(fault.BillNotFound) }
		for i := range 10 {
			got, err := w.processes[i%2].Get(t.Context(), w.question())
			require.Equal(t, fault.BillNotFound, fault.From(err).Code())
			require.Equal(t, min(1, 1-min(i, 1)), got.Attempts)
		}
		require.Equal(t, 1, w.calls)
		require.Equal(t, freshness.Counts{Hits: 4, Misses: 1}, w.processes[0].Tally.Counts())
		time.Sleep(time.Second)
		q := w.question()
		q.Since = time.Now()
		_, err := w.processes[0].Get(t.Context(), q)
		require.Error(t, err)
		require.Equal(t, 2, w.calls, "a no from before the question does not count")
		time.Sleep(time.Minute)
		w.trouble = nil
		_, err = w.processes[1].Get(t.Context(), w.question())
		require.NoError(t, err, "and not for long")
	})
}

func TestOldCopies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.trouble = broken
		w.hold(2 * time.Minute)
		got, err := w.processes[0].Get(t.Context(), w.question())
		require.NoError(t, err)
		require.Equal(t, freshness.FromStale, got.Source)
		require.Equal(t, 1, w.calls, "who has something to show does not try twice")
		w.hold(2 * time.Hour)
		_, err = w.processes[0].Get(t.Context(), w.question())
		require.Error(t, err, "too old to be shown")
		w.hold(2 * time.Minute)
		q := w.question()
		q.Old = func(error, int) bool { return false }
		_, err = w.processes[0].Get(t.Context(), q)
		require.Error(t, err)
		require.EqualValues(t, 1, w.processes[0].Tally.Counts().Stale)
	})
}

func TestEarlyRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.limits.Early = 10 * time.Second
		var lanes []string
		q := w.question()
		q.Renew = func(ctx context.Context) (told, error) {
			lanes = append(lanes, "refresh")
			return w.ask(ctx)
		}
		w.hold(w.limits.Soft - time.Second) // rnd is 0.5: whoever comes in the last 7 s is early
		for i := range 100 {
			got, ok := w.processes[i%2].Hit(t.Context(), q)
			require.True(t, ok, "nobody waits")
			require.Zero(t, got.call)
		}
		for _, p := range w.processes {
			p.Wait()
		}
		require.Equal(t, 1, w.calls)
		require.Equal(t, []string{"refresh"}, lanes)
		got, ok := w.processes[0].Hit(t.Context(), q)
		require.True(t, ok)
		require.Equal(t, 1, got.call)
		w.hold(w.limits.Soft - 20*time.Second)
		_, _ = w.processes[0].Hit(t.Context(), q)
		w.processes[0].Wait()
		require.Equal(t, 1, w.calls, "not so early")
	})
}

// TestALesserFlightIsFollowedByAnother is a customer who joins a renewal for which there is no quota, and background work that joins a
// customer's question that ran out of patience.
func TestALesserFlightIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.limits.Early = 10 * time.Second
		q := w.question()
		q.Renew = func(context.Context) (told, error) {
			<-time.After(2 * time.Second)
			return told{}, fault.New(fault.ServiceUnavailable).RetryIn(time.Minute).Because(ports.ErrNotAsked)
		}
		w.hold(w.limits.Soft - time.Second)
		_, ok := w.processes[0].Hit(t.Context(), q)
		require.True(t, ok)
		time.Sleep(1500 * time.Millisecond)
		got, err := w.processes[0].Get(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, freshness.FromKOS, got.Source)
		w.processes[0].Wait()

		w.held, w.takes = nil, 5*time.Second
		var all sync.WaitGroup
		all.Go(func() {
			_, err := w.processes[0].Get(t.Context(), w.question())
			require.ErrorIs(t, err, ports.ErrNoAnswer)
		})
		synctest.Wait()
		patient := w.question()
		patient.Patience = 10 * time.Second
		_, err = w.processes[0].Get(t.Context(), patient)
		require.NoError(t, err)
		all.Wait()
	})
}

// TestNobodyJoinsAnAnswerFromBeforeHisOwnChange: the customer changes his plan while somebody's question about it is under way. Who asks
// after the change joins that question, and must not be told what it brings.
func TestNobodyJoinsAnAnswerFromBeforeHisOwnChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		var epoch time.Time
		q := w.question()
		q.Latest = func(ctx context.Context) (told, error) {
			held, err := w.latest(ctx)
			if err == nil && held.at.Before(epoch) {
				return told{}, fault.New(fault.ResourceNotFound)
			}
			return held, err
		}
		q.Kept = q.Latest
		var all sync.WaitGroup
		all.Go(func() {
			got, err := w.processes[0].Get(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, 1, got.Copy.call, "his question is older than the change")
		})
		time.Sleep(100 * time.Millisecond)
		epoch = time.Now()
		for range 20 {
			all.Go(func() {
				got, err := w.processes[0].Get(t.Context(), q)
				require.NoError(t, err)
				require.Equal(t, 2, got.Copy.call)
			})
		}
		all.Wait()
		require.Equal(t, 2, w.calls)
	})
}

// TestAStoreAwayDoesNotUndoSingleFlight: what cannot be read back is shared all the same.
func TestAStoreAwayDoesNotUndoSingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		q := w.question()
		q.Latest = func(context.Context) (told, error) { return told{}, errors.New("away") }
		q.Kept = q.Latest
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				got, err := w.processes[0].Get(t.Context(), q)
				require.NoError(t, err)
				require.Equal(t, 1, got.Copy.call)
			})
		}
		all.Wait()
		require.Equal(t, 1, w.calls)
	})
}

// TestACacheThatMissedTheNews: another process has brought a new copy, but the cache still shows the old one.
func TestACacheThatMissedTheNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.hold(0)
		old := told{at: time.Now().Add(-w.limits.Soft)}
		q := w.question()
		q.Latest = func(context.Context) (told, error) { return old, nil }
		got, err := w.processes[0].Get(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, *w.held, got.Copy)
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
			_, _ = w.processes[0].Get(t.Context(), w.question())
			time.Sleep(15 * time.Second)
		}
		w.trouble = func(int) error {
			return fault.New(fault.ServiceUnavailable).RetryIn(time.Second).Because(ports.ErrNotAsked)
		}
		time.Sleep(15 * time.Second)
		_, err := w.processes[0].Get(t.Context(), w.question())
		require.ErrorIs(t, err, ports.ErrNotAsked)
		w.trouble, w.calls = broken, 0
		_, _ = w.processes[0].Get(t.Context(), w.question())
		_, err = w.processes[0].Get(t.Context(), w.question())
		require.Error(t, err)
		require.Equal(t, 1, w.calls, "one try, then the long rest")
	})
}

// TestAStoreThatHangsHoldsNothing: KOS is asked in time all the same.
func TestAStoreThatHangsHoldsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		q := w.question()
		q.Latest = func(ctx context.Context) (told, error) {
			<-ctx.Done()
			return told{}, ctx.Err()
		}
		q.Kept = q.Latest
		began := time.Now()
		_, err := w.processes[0].Get(t.Context(), q)
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(began), 2500*time.Millisecond)
	})
}

// TestAPanicIsAnError of the question that met it, and of nobody else.
func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		q := w.question()
		q.Ask = func(context.Context) (told, error) { panic("a bug") }
		_, err := w.processes[0].Get(t.Context(), q)
		require.ErrorContains(t, err, "panic: a bug")
		require.Equal(t, fault.InternalServerError, fault.From(err).Code())
		time.Sleep(time.Minute)
		_, err = w.processes[0].Get(t.Context(), w.question())
		require.NoError(t, err)
	})
}

// TestAHotCopyLeavesRoomForOthers: a renewal takes one place, however many readers are early.
func TestAHotCopyLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.limits.Early = 10 * time.Second
		w.hold(w.limits.Soft - time.Second)
		asked := map[freshness.Kind]int{}
		for range 100 {
			for _, kind := range []freshness.Kind{freshness.Bills, freshness.Customers} {
				q := w.question()
				q.Subject.Kind = kind
				q.Renew = func(ctx context.Context) (told, error) {
					w.mu.Lock()
					asked[kind]++
					w.mu.Unlock()
					return w.ask(ctx)
				}
				_, ok := w.processes[0].Hit(t.Context(), q)
				require.True(t, ok)
			}
		}
		w.processes[0].Wait()
		require.Equal(t, map[freshness.Kind]int{freshness.Bills: 1, freshness.Customers: 1}, asked)
	})
}

// TestTheAskerMayGo is a customer who hangs up: the others who wait for the same are answered all the same.
func TestTheAskerMayGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		ctx, hangUp := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, err := w.processes[0].Get(ctx, w.question())
			require.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		all.Go(func() {
			_, err := w.processes[0].Get(t.Context(), w.question())
			require.NoError(t, err)
		})
		synctest.Wait()
		hangUp()
		all.Wait()
		require.Equal(t, 1, w.calls)
	})
}

func TestWhatCannotBeKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.lost = true
		_, err := w.processes[0].Get(t.Context(), w.question())
		require.NoError(t, err, "KOS has answered")
		q := w.question()
		q.Durable = true
		_, err = w.processes[0].Get(t.Context(), q)
		require.ErrorContains(t, err, "disk full")
		require.Equal(t, 2, w.calls)
		w.lost = false
		_, err = w.processes[0].Get(t.Context(), q)
		require.NoError(t, err, "it was not KOS that failed")
	})
}

// TestQuotaUsedUpLeavesNoTrace is KOS not asked: the next one asks, who may have another lane or come when there is a call again.
func TestQuotaUsedUpLeavesNoTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.trouble = func(int) error {
			return fault.New(fault.ServiceUnavailable).RetryIn(time.Minute).Because(ports.ErrNotAsked)
		}
		got, err := w.processes[0].Get(t.Context(), w.question())
		require.ErrorIs(t, err, ports.ErrNotAsked)
		require.Equal(t, time.Minute, fault.From(err).RetryAfter())
		require.Zero(t, got.Attempts)
		require.Equal(t, 1, w.calls)
		w.trouble = nil
		_, err = w.processes[0].Get(t.Context(), w.question())
		require.NoError(t, err)

		w.held, w.calls = nil, 0
		w.trouble = func(int) error {
			return fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNotAsked, ports.ErrTransient))
		}
		got, err = w.processes[0].Get(t.Context(), w.question())
		require.Error(t, err)
		require.Zero(t, got.Attempts, "no connection: nothing was asked")
		require.Equal(t, 3, w.calls, "but it was tried as often as allowed")
	})
}
