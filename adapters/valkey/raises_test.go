package valkey_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// instance is a process with a cache, over stores that it shares with others.
type instance struct {
	client *valkey.Client
	bills  ports.Bills
	epochs ports.Epochs
	raises *valkey.Raises
}

// shared are the stores of all instances of a test.
type shared struct {
	bills  memory.Bills
	epochs memory.Epochs
}

func newShared(c *cache) *shared {
	s := &shared{epochs: memory.Epochs{Vault: c.vault}}
	s.bills.Epochs = &s.epochs
	return s
}

func (s *shared) instance(c *cache, client *valkey.Client) instance {
	return instance{
		client: client, bills: valkey.NewCachedBills(client, &s.bills, &s.epochs, c.vault, vault.Bills(c.vault), c.log),
		epochs: valkey.NewCachedEpochs(client, &s.epochs, c.vault, c.log), raises: valkey.NewRaises(client, &s.epochs, c.log),
	}
}

// work pulls as a service's worker does, until the test is over.
func (i instance) work(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(valkey.PullEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			_, _ = i.raises.Step(ctx)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	t.Cleanup(func() { stop(); done.Wait() })
}

// TestOthersLearnOfAnEpochThatMissedTheCache: one instance cannot reach the cache while it raises an epoch, another
// can. Once Raise has returned, the other shows nothing from before it.
func TestOthersLearnOfAnEpochThatMissedTheCache(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(*wire){"cut": (*wire).cut, "jam": (*wire).jam} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			s := newShared(c)
			here, there := s.instance(c, c.Client), s.instance(c, c.connect(t, direct))
			there.work(t)
			_, _ = latest(t, there.bills)
			require.NoError(t, there.bills.Put(t.Context(), copyAt(1)))
			requireLatest(t, copyAt(1), there.bills)

			trouble(c.wire)
			require.NoError(t, here.epochs.Raise(t.Context(), one(), copyAt(3).AsOf))
			_, err := latest(t, there.bills)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
			_, err = latest(t, here.bills)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))

			c.wire.flow()
			require.NoError(t, there.bills.Put(t.Context(), copyAt(4)))
			require.Eventually(t, func() bool { return valkey.Owed(here.client) == 0 && valkey.Owed(there.client) == 0 },
				10*time.Second, 10*time.Millisecond)
			requireLatest(t, copyAt(4), there.bills)
			requireLatest(t, copyAt(4), here.bills)
		})
	}
}

// TestACancelledRaiseReturnsAnError: the epoch is raised and owed to the cache.
func TestACancelledRaiseReturnsAnError(t *testing.T) {
	t.Parallel()
	c := open(t)
	_, _, epochs, _ := c.lines()
	c.wire.cut()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, epochs.Raise(ctx, one(), start), context.Canceled)
	require.Equal(t, 1, valkey.Owed(c.Client))
	at, err := epochs.Of(t.Context(), one())
	require.NoError(t, err)
	require.True(t, at.Equal(start))
}

type feed struct {
	raised []freshness.Raise
	asOf   time.Time
	err    error
	asked  []time.Time
}

func (f *feed) Raised(_ context.Context, since time.Time) ([]freshness.Raise, time.Time, error) {
	f.asked = append(f.asked, since)
	return f.raised, f.asOf, f.err
}

func TestAPullUpdatesTheCacheOnceAndDropsNothingNewer(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, _, stored := c.lines()
	f := &feed{asOf: start, raised: []freshness.Raise{
		{Line: c.vault.Index(ports.LineIndex, one().Digits()), Epoch: copyAt(2).AsOf},
		{Line: c.vault.Index(ports.LineIndex, portstest.Line(2).Digits()), Epoch: copyAt(2).AsOf},
	}}
	raises := valkey.NewRaises(c.Client, f, c.log)
	step := func() {
		n, err := raises.Step(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
	}
	_, _ = latest(t, bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	step()
	require.Zero(t, valkey.Owed(c.Client))
	hits := c.count(t, "bill", "hit")
	requireLatest(t, copyAt(1), bills) // of the store, which knows of no epoch here
	require.Equal(t, hits, c.count(t, "bill", "hit"), "from before the epoch")
	require.NoError(t, bills.Put(t.Context(), copyAt(3)))
	f.raised[0].Epoch = copyAt(3).AsOf
	step()
	step()
	require.NoError(t, stored.Put(t.Context(), copyAt(4)))
	requireLatest(t, copyAt(4), bills)
	f.raised[0].Epoch = copyAt(2).AsOf
	step()
	hits = c.count(t, "bill", "hit")
	requireLatest(t, copyAt(4), bills)
	require.Equal(t, hits+1, c.count(t, "bill", "hit"), "an older epoch drops nothing")

	require.WithinDuration(t, time.Now().Add(-7*24*time.Hour-time.Hour), f.asked[0], time.Minute,
		"all that a copy can be older than")
	for _, since := range f.asked[1:] {
		require.Equal(t, start, since)
	}
	age := func() float64 { return gauge(t, c.metrics, "cache_epochs_age_seconds") }
	require.Less(t, age(), time.Minute.Seconds())
	f.err, f.asOf = errDown, start.Add(time.Hour)
	_, err := raises.Step(t.Context())
	require.ErrorIs(t, err, errDown)
	require.Eventually(t, func() bool { return age() > 0.05 }, 10*time.Second, time.Millisecond, "it grows")
	f.err = nil
	step()
	require.Equal(t, start, f.asked[len(f.asked)-1], "what was missed is asked for")
	requireLatest(t, copyAt(4), bills)
}

// TestAPullWhileTheCacheIsAway: the process does not use the cache for the line, and updates it later.
func TestAPullWhileTheCacheIsAway(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, _, _ := c.lines()
	raises := valkey.NewRaises(c.Client, &feed{asOf: start, raised: []freshness.Raise{
		{Line: c.vault.Index(ports.LineIndex, one().Digits()), Epoch: copyAt(2).AsOf},
	}}, c.log)
	_, _ = latest(t, bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	c.wire.cut()
	for range 3 {
		_, err := raises.Step(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, 1, valkey.Owed(c.Client))
	c.wire.flow()
	c.settled(t)
	require.Zero(t, c.count(t, "bill", "hit"))
	requireLatest(t, copyAt(1), bills)
	require.Zero(t, c.count(t, "bill", "hit"), "it is gone from the cache")
}

func TestAFlushBetweenMissAndRefillLetsNothingOldIn(t *testing.T) {
	t.Parallel()
	for name, warm := range map[string]bool{"cold": false, "asked for before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			s := newShared(c)
			i, slow := s.instance(c, c.Client), &slowBills{Bills: &s.bills}
			bills := valkey.NewCachedBills(c.Client, slow, &s.epochs, c.vault, vault.Bills(c.vault), c.log)
			if warm {
				_, _ = latest(t, bills)
			}
			require.NoError(t, s.bills.Put(t.Context(), copyAt(1)))
			slow.meanwhile = func() {
				require.NoError(t, i.epochs.Raise(t.Context(), one(), copyAt(5).AsOf))
				c.flush(t)
			}
			requireLatest(t, copyAt(1), bills) // asked before the change
			_, err := latest(t, bills)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
		})
	}
}

// TestALatePutFindsTheEpochThoughTheHashIsNew: KOS was asked before the change, the cache was flushed after it, and
// another caller has asked since.
func TestALatePutFindsTheEpochThoughTheHashIsNew(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, epochs, _ := c.lines()
	require.NoError(t, epochs.Raise(t.Context(), one(), copyAt(5).AsOf))
	c.flush(t)
	_, _ = latest(t, bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(4)))
	_, err := latest(t, bills)
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
	require.NoError(t, bills.Put(t.Context(), copyAt(6)))
	requireLatest(t, copyAt(6), bills)
	require.Equal(t, 1, c.count(t, "bill", "hit"))
}

// TestAPutBesideARefillLeavesNoOlderCopy: the refill's value is from before the put, and the put found no epoch yet.
func TestAPutBesideARefillLeavesNoOlderCopy(t *testing.T) {
	t.Parallel()
	c := open(t)
	s := newShared(c)
	slow := &slowBills{Bills: &s.bills}
	bills := valkey.NewCachedBills(c.Client, slow, &s.epochs, c.vault, vault.Bills(c.vault), c.log)
	require.NoError(t, s.bills.Put(t.Context(), copyAt(1)))
	slow.meanwhile = func() { require.NoError(t, bills.Put(t.Context(), copyAt(2))) }
	requireLatest(t, copyAt(1), bills)
	requireLatest(t, copyAt(2), bills)
}

func TestAFlushBringsNoSessionBack(t *testing.T) {
	t.Parallel()
	c := open(t)
	stored := &memory.Sessions{}
	slow := &slowSessions{Sessions: stored}
	sessions := valkey.NewCachedSessions(c.Client, slow, c.vault, c.log)
	sid := id.ID{15: 1}
	_, err := sessions.Create(t.Context(), auth.Session{ID: sid}, auth.DefaultSessions())
	require.NoError(t, err)
	slow.meanwhile = func() {
		_, err := sessions.Change(t.Context(), sid, func(s auth.Session) auth.Session { return s.Revoke(start) })
		require.NoError(t, err)
		c.flush(t)
	}
	_, err = sessions.Get(t.Context(), sid)
	require.NoError(t, err)
	s, err := sessions.Get(t.Context(), sid)
	require.NoError(t, err)
	require.False(t, s.RevokedAt.IsZero())
}

// TestNoValueIsOlderThanAnAcknowledgedChange lets two instances read, store late responses of KOS and raise epochs
// while the cache is flushed and one instance loses its connection to it: what is read after a raise has returned is
// never older than it (ADR 6).
func TestNoValueIsOlderThanAnAcknowledgedChange(t *testing.T) {
	t.Parallel()
	c := open(t)
	s := newShared(c)
	instances := []instance{s.instance(c, c.Client), s.instance(c, c.connect(t, direct))}
	var acknowledged atomic.Int64
	stop, over := context.WithCancel(t.Context())
	var all sync.WaitGroup
	again := func(f func(n int)) {
		all.Go(func() {
			for n := 0; stop.Err() == nil; n++ {
				f(n)
			}
		})
	}
	for _, i := range instances {
		i.work(t)
		for range 2 {
			again(func(int) {
				var floor time.Time // before the first change any value is right
				if n := int(acknowledged.Load()); n > 0 {
					floor = copyAt(n).AsOf
				}
				got, err := i.bills.Latest(t.Context(), one(), portstest.Month())
				switch {
				case errors.Is(err, fault.New(fault.ResourceNotFound)):
				case err != nil:
					t.Errorf("unexpected error: %v", err)
				case got.AsOf.Before(floor):
					t.Errorf("value of %v, though the change of %v was acknowledged", got.AsOf, floor)
				}
			})
		}
		again(func(int) { // late responses of KOS, and new ones
			second := int(acknowledged.Load()) + rand.IntN(6) - 4
			_ = i.bills.Put(t.Context(),
				bill.Copy{Version: id.ID{15: byte(second)}, Bill: portstest.Bill(one()), AsOf: copyAt(second).AsOf})
			<-time.After(time.Duration(rand.IntN(3)) * time.Millisecond)
		})
	}
	again(func(int) {
		_ = c.raw.Do(t.Context(), c.raw.B().Del().Key(lineKey(c)).Build()).Error()
		<-time.After(time.Duration(rand.IntN(4)) * time.Millisecond)
	})
	for n := 1; n <= 40; n++ {
		if n%20 == 0 {
			c.wire.cut()
		}
		require.NoError(t, instances[n%2].epochs.Raise(t.Context(), one(), copyAt(n).AsOf))
		acknowledged.Store(int64(n))
		c.wire.flow()
		<-time.After(10 * time.Millisecond)
	}
	require.Eventually(t, func() bool { return c.count(t, "bill", "hit") > 0 }, 30*time.Second, 5*time.Millisecond,
		"else nothing was tried")
	over()
	all.Wait()
}
