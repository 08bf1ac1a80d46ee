package copies_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/quota"
	"phonebill/ports"
)

// answer is what the KOS of these tests says: the number of the call, and when it was asked.
type answer struct {
	call int
	at   time.Time
}

// world is several processes with one store, one set of flights and one KOS, under virtual time.
type world struct {
	flights   ports.Flights
	processes []*copies.Copies[answer]
	limits    freshness.Limits

	mu      sync.Mutex
	held    *answer
	lost    bool // the store takes nothing
	takes   time.Duration
	calls   int
	reads   int // of the store
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
		w.processes = append(w.processes, &copies.Copies[answer]{
			Flights: w.flights, Now: time.Now, Random: func() float64 { return 0.5 },
		})
	}
	return w
}

func (w *world) ask(ctx context.Context, call ports.Call) (answer, error) {
	w.mu.Lock()
	w.calls++
	w.out++
	w.most = max(w.most, w.out)
	w.tries = append(w.tries, call.Attempt)
	t, trouble, takes := answer{w.calls, time.Now()}, w.trouble, w.takes
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.out--
	}()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return answer{}, fault.New(fault.ServiceUnavailable).Because(ports.ErrNoAnswer)
	}
	if trouble != nil {
		if err := trouble(t.call); err != nil {
			return answer{}, err
		}
	}
	return t, nil
}

func (w *world) latest(context.Context) (answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	if w.held == nil {
		return answer{}, fault.New(fault.ResourceNotFound)
	}
	return *w.held, nil
}

// script is the copies.Source of these tests; a test may replace what is not nil.
type script struct {
	*world

	read          func(ctx context.Context) (answer, error)
	committed     func(ctx context.Context) (answer, error) // nil = read
	ask, refresh  func(ctx context.Context, call ports.Call) (answer, error)
	mayServeStale func(trouble error, attempts int) bool
}

// of returns the script of a query.
func of(q copies.Query[answer]) *script { return q.Source.(*script) }

func (s *script) Read(ctx context.Context) (answer, error) { return s.read(ctx) }

func (s *script) ReadCommitted(ctx context.Context) (answer, error) {
	if s.committed != nil {
		return s.committed(ctx)
	}
	return s.read(ctx)
}

func (s *script) State(stored answer, since, now time.Time, rnd float64) freshness.State {
	return s.limits.Decide(stored.at, since, now, rnd)
}

func (s *script) Ask(ctx context.Context, call ports.Call) (answer, error) {
	if call.Lane == quota.Refresh {
		return s.refresh(ctx, call)
	}
	return s.ask(ctx, call)
}

func (s *script) Store(_ context.Context, t answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost {
		return errors.New("disk full")
	}
	s.held = &t
	return nil
}

func (s *script) MayServeStale(trouble error, attempts int) bool {
	return s.mayServeStale(trouble, attempts)
}

func (w *world) query() copies.Query[answer] {
	return copies.Query[answer]{
		Subject: freshness.Subject{Kind: freshness.Bills},
		Policy:  copies.Policy{Lane: quota.Read, Timeout: 3 * time.Second, Attempts: 3},
		Source: &script{
			world: w, read: w.latest, ask: w.ask, refresh: w.ask,
			mayServeStale: func(err error, _ int) bool { return fault.From(err).Kind() == fault.Unavailable },
		},
	}
}

func (w *world) hold(age time.Duration) { w.held = &answer{at: time.Now().Add(-age)} }

func broken(int) error { return fault.New(fault.ServiceUnavailable).Because(ports.ErrTransient) }

func TestMemoryFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.hold(30 * time.Second)
		for range 10 {
			got, err := w.processes[0].Get(t.Context(), w.query())
			require.NoError(t, err)
			require.Equal(t, freshness.FromCache, got.Source)
			require.Zero(t, got.Attempts)
		}
		require.Zero(t, w.calls)
		require.Equal(t, freshness.Counts{Hits: 10}, w.processes[0].Tally.Counts())
		w.hold(time.Minute)
		ok := w.processes[0].Lookup(t.Context(), w.query()).IsFresh()
		require.False(t, ok)
		got, err := w.processes[0].Get(t.Context(), w.query())
		require.NoError(t, err)
		require.Equal(t, copies.Copy[answer]{Value: *w.held, Source: freshness.FromKOS, Attempts: 1}, got)
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
						got, err := w.processes[i%4].Get(t.Context(), w.query())
						require.NoError(t, err)
						require.Equal(t, 1, got.Value.call)
					})
				}
				all.Wait()
				require.Equal(t, 1, w.calls)
				var sum freshness.Counts
				for _, p := range w.processes {
					c := p.Tally.Counts()
					sum = freshness.Counts{
						Hits: sum.Hits + c.Hits, Misses: sum.Misses + c.Misses, Coalesced: sum.Coalesced + c.Coalesced,
					}
				}
				require.EqualValues(t, 1, sum.Misses)
				require.EqualValues(t, 1000, sum.Hits+sum.Misses+sum.Coalesced)
			})
		})
	}
}

// TestSince is a change's question: nothing that KOS was asked before it will do, but those who ask together share
// one call.
func TestSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.hold(0)
		var all sync.WaitGroup
		want := func(i int, from time.Duration, call int) {
			all.Go(func() {
				time.Sleep(from)
				q := w.query()
				q.Since = time.Now()
				got, err := w.processes[i%2].Get(t.Context(), q)
				require.NoError(t, err)
				require.Equal(t, call, got.Value.call)
				require.False(t, got.Value.at.Before(q.Since))
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

func TestEarlyRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.limits.RefreshAhead = 10 * time.Second
		var lanes []string
		q := w.query()
		q.Policy.RefreshAhead = true
		of(q).refresh = func(ctx context.Context, call ports.Call) (answer, error) {
			lanes = append(lanes, "refresh")
			return w.ask(ctx, call)
		}
		w.hold(w.limits.Soft - time.Second) // rnd is 0.5: a caller in the last 7 s is early
		for i := range 100 {
			got := w.processes[i%2].Lookup(t.Context(), q)
			require.True(t, got.IsFresh(), "no caller waits")
			require.Zero(t, got.Value.call)
		}
		for _, p := range w.processes {
			p.Wait()
		}
		require.Equal(t, 1, w.calls)
		require.Equal(t, []string{"refresh"}, lanes)
		got := w.processes[0].Lookup(t.Context(), q)
		require.True(t, got.IsFresh())
		require.Equal(t, 1, got.Value.call)
		w.hold(w.limits.Soft - 20*time.Second)
		w.processes[0].Lookup(t.Context(), q)
		w.processes[0].Wait()
		require.Equal(t, 1, w.calls, "not so early")
	})
}

// TestALesserFlightIsFollowedByAnother is a customer who joins a renewal for which there is no quota, and background
// work that joins a customer's question whose time is over.
func TestALesserFlightIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.limits.RefreshAhead = 10 * time.Second
		q := w.query()
		q.Policy.RefreshAhead = true
		of(q).refresh = func(context.Context, ports.Call) (answer, error) {
			<-time.After(2 * time.Second)
			return answer{}, fault.New(fault.ServiceUnavailable).RetryIn(time.Minute).Because(ports.ErrNotAsked)
		}
		w.hold(w.limits.Soft - time.Second)
		ok := w.processes[0].Lookup(t.Context(), q).IsFresh()
		require.True(t, ok)
		time.Sleep(1500 * time.Millisecond)
		got, err := w.processes[0].Get(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, freshness.FromKOS, got.Source)
		w.processes[0].Wait()

		w.held, w.takes = nil, 5*time.Second
		var all sync.WaitGroup
		all.Go(func() {
			_, err := w.processes[0].Get(t.Context(), w.query())
			require.ErrorIs(t, err, ports.ErrNoAnswer)
		})
		synctest.Wait()
		patient := w.query()
		patient.Policy.Timeout = 10 * time.Second
		_, err = w.processes[0].Get(t.Context(), patient)
		require.NoError(t, err)
		all.Wait()
	})
}

// TestNoCallerGetsAnAnswerFromBeforeItsOwnChange: the customer changes the plan while another's question about it is
// under way. A caller after the change joins that question, and must not get its answer.
func TestNoCallerGetsAnAnswerFromBeforeItsOwnChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		var epoch time.Time
		q := w.query()
		of(q).read = func(ctx context.Context) (answer, error) {
			held, err := w.latest(ctx)
			if err == nil && held.at.Before(epoch) {
				return answer{}, fault.New(fault.ResourceNotFound)
			}
			return held, err
		}
		var all sync.WaitGroup
		all.Go(func() {
			got, err := w.processes[0].Get(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, 1, got.Value.call, "that question is older than the change")
		})
		time.Sleep(100 * time.Millisecond)
		epoch = time.Now()
		for range 20 {
			all.Go(func() {
				got, err := w.processes[0].Get(t.Context(), q)
				require.NoError(t, err)
				require.Equal(t, 2, got.Value.call)
			})
		}
		all.Wait()
		require.Equal(t, 2, w.calls)
	})
}

// TestAHotCopyLeavesRoomForOthers: a renewal takes one place, however many readers are early.
func TestAHotCopyLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.limits.RefreshAhead = 10 * time.Second
		w.hold(w.limits.Soft - time.Second)
		asked := map[freshness.Kind]int{}
		for range 100 {
			for _, kind := range []freshness.Kind{freshness.Bills, freshness.Customers} {
				q := w.query()
				q.Subject.Kind = kind
				q.Policy.RefreshAhead = true
				of(q).refresh = func(ctx context.Context, call ports.Call) (answer, error) {
					w.mu.Lock()
					asked[kind]++
					w.mu.Unlock()
					return w.ask(ctx, call)
				}
				ok := w.processes[0].Lookup(t.Context(), q).IsFresh()
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
			_, err := w.processes[0].Get(ctx, w.query())
			require.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		all.Go(func() {
			_, err := w.processes[0].Get(t.Context(), w.query())
			require.NoError(t, err)
		})
		synctest.Wait()
		hangUp()
		all.Wait()
		require.Equal(t, 1, w.calls)
	})
}

// TestTheStoreIsReadOnce before KOS is asked where there is no copy, whether the caller has looked itself or not.
func TestTheStoreIsReadOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		_, err := w.processes[0].Get(t.Context(), w.query())
		require.NoError(t, err)
		require.Equal(t, []int{1, 1}, []int{w.reads, w.calls})

		w.held = nil
		q := w.query()
		q.Subject.Part = "another"
		stored := w.processes[0].Lookup(t.Context(), q)
		require.False(t, stored.CanBeServed())
		_, err = w.processes[0].Fetch(t.Context(), q, stored)
		require.NoError(t, err)
		require.Equal(t, []int{2, 2}, []int{w.reads, w.calls})

		time.Sleep(time.Minute)
		_, err = w.processes[0].Get(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, []int{4, 3}, []int{w.reads, w.calls}, "there may be a newer copy than the old one that was found")
	})
}

// TestACopyStoredSinceTheLookup by another process is found without a call to KOS, however long ago its question ended.
func TestACopyStoredSinceTheLookup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		stored := w.processes[0].Lookup(t.Context(), w.query())
		_, err := w.processes[1].Get(t.Context(), w.query())
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		got, err := w.processes[0].Fetch(t.Context(), w.query(), stored)
		require.NoError(t, err)
		require.Equal(t, 1, got.Value.call)
		require.Equal(t, 1, w.calls)
		require.EqualValues(t, 1, w.processes[0].Tally.Counts().Coalesced)

		again, err := w.processes[1].Fetch(t.Context(), w.query(), stored)
		require.NoError(t, err)
		require.Equal(t, got.Value, again.Value, "what was found is noted too")
		require.Equal(t, 1, w.calls)
	})
}

// TestALookupThatFailedIsMadeAgain before KOS is asked: the store may hold a copy.
func TestALookupThatFailedIsMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.hold(0)
		q := w.query()
		of(q).read = func(context.Context) (answer, error) { return answer{}, errors.New("busy") }
		stored := w.processes[0].Lookup(t.Context(), q)
		require.False(t, stored.CanBeServed())
		time.Sleep(time.Second)
		got, err := w.processes[0].Fetch(t.Context(), w.query(), stored)
		require.NoError(t, err)
		require.Equal(t, *w.held, got.Value)
		require.Zero(t, w.calls)
	})
}
