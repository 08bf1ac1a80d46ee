package valkey_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/sealing"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

var start = time.Date(2026, 3, 2, 3, 4, 5, 123456789, time.UTC)

// copyAt is the bill of line 1 as of start + s seconds.
func copyAt(s int) bill.Copy {
	return bill.Copy{
		Version: id.ID{15: byte(s)}, Bill: portstest.Bill(one()), AsOf: start.Add(time.Duration(s) * time.Second),
	}
}

func latest(t *testing.T, b ports.Bills) (bill.Copy, error) {
	t.Helper()
	return b.Latest(t.Context(), one(), portstest.Month())
}

func requireLatest(t *testing.T, want bill.Copy, b ports.Bills) {
	t.Helper()
	got, err := latest(t, b)
	require.NoError(t, err)
	require.Equal(t, want.Version, got.Version)
	require.True(t, want.AsOf.Equal(got.AsOf))
}

func TestACachedLatestReadsNoStore(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, _, _ := c.lines()
	_, err := latest(t, bills)
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	for range 5 {
		requireLatest(t, copyAt(1), bills)
	}
	require.Equal(t, 5, c.count(t, "bill", "hit"))
	require.Equal(t, 1, c.count(t, "bill", "miss"))
	require.Zero(t, c.count(t, "bill", "trouble"))
}

// TestACacheThatMissedANewCopy: another process has stored a new copy, but the cache still holds the old one. An exact
// read finds the new one.
func TestACacheThatMissedANewCopy(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, _, stored := c.lines()
	_, _ = latest(t, bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	require.NoError(t, stored.Put(t.Context(), copyAt(2)))
	requireLatest(t, copyAt(1), bills)
	got, err := bills.LatestCommitted(t.Context(), one(), portstest.Month())
	require.NoError(t, err)
	require.Equal(t, copyAt(2).Version, got.Version)
}

func TestKeysAndValuesShowNothing(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, customers, _, _ := c.lines()
	plans := valkey.NewCachedPlans(c.Client, &memory.Plans{}, vault.Plans(c.vault), c.log)
	sessions := valkey.NewCachedSessions(c.Client, &memory.Sessions{}, c.vault, c.log)
	ctx := t.Context()
	_, _ = latest(t, bills)
	_, _ = plans.Latest(ctx)
	require.NoError(t, bills.Put(ctx, copyAt(1)))
	require.NoError(t, customers.Put(ctx, product.CustomerCopy{Customer: portstest.Customer(one()), AsOf: start}))
	require.NoError(t, plans.Put(ctx, portstest.PlansCopies()[0]))
	s := auth.Session{
		ID: id.ID{15: 7}, UserID: "hong1234", Client: auth.Client{IP: "192.0.2.7", UserAgent: "Browser"}, ExpiresAt: start,
	}
	_, err := sessions.Create(ctx, s, auth.DefaultSessions())
	require.NoError(t, err)
	_, err = sessions.Get(ctx, s.ID)
	require.NoError(t, err)

	keys := c.keys(t)
	require.Len(t, keys, 3)
	for _, key := range keys {
		require.Regexp(t, `^test-\w+:(line|plans|session):v1:\{[^{}]+\}$`, key)
		all, err := c.raw.Do(ctx, c.raw.B().Hgetall().Key(key).Build()).AsStrMap()
		require.NoError(t, err)
		text := key
		for field, value := range all {
			text += field + value
		}
		for _, clear := range []string{one().Digits(), one().Hyphenated(), "홍길동", "5GX_PREMIUM", "hong1234", "192.0.2.7"} {
			require.NotContains(t, text, clear)
		}
		ttl, err := c.raw.Do(ctx, c.raw.B().Ttl().Key(key).Build()).AsInt64()
		require.NoError(t, err)
		require.Positive(t, ttl, "every key dies by itself")
	}
}

func TestFlushIsRefilled(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, customers, epochs, _ := c.lines()
	ctx := t.Context()
	held := product.CustomerCopy{Customer: portstest.Customer(one()), AsOf: start.Add(2 * time.Second)}
	require.NoError(t, epochs.Raise(ctx, one(), start.Add(time.Second)))
	require.NoError(t, bills.Put(ctx, copyAt(1)))
	require.NoError(t, customers.Put(ctx, held))
	c.flush(t)
	requireLatest(t, copyAt(1), bills)
	require.Len(t, c.keys(t), 1)
	before := c.count(t, "bill", "hit")
	requireLatest(t, copyAt(1), bills)
	require.Equal(t, before+1, c.count(t, "bill", "hit"))
	got, err := customers.Latest(ctx, one())
	require.NoError(t, err)
	require.Equal(t, held.Customer, got.Customer)
	at, err := epochs.Of(ctx, one())
	require.NoError(t, err)
	require.True(t, at.Equal(start.Add(time.Second)), "epochs survive the cache")
}

// once lets a test act between the store's response and its arrival, once.
type once struct{ meanwhile func() }

func (o *once) act() {
	if f := o.meanwhile; f != nil {
		o.meanwhile = nil
		f()
	}
}

type slowBills struct {
	ports.Bills
	once
}

func (s *slowBills) Latest(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	c, err := s.Bills.Latest(ctx, n, m)
	s.act()
	return c, err
}

func TestLateRefillLosesAgainstARaise(t *testing.T) {
	t.Parallel()
	for name, warm := range map[string]bool{"cold": false, "asked for before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			durable := &memory.Epochs{}
			slow := &slowBills{Bills: &memory.Bills{Epochs: durable}}
			bills := valkey.NewCachedBills(c.Client, slow, durable, c.vault, vault.Bills(c.vault), c.log)
			epochs := valkey.NewCachedEpochs(c.Client, durable, c.vault, c.log)
			if warm {
				_, _ = latest(t, bills)
			}
			require.NoError(t, slow.Put(t.Context(), copyAt(1))) // by another process
			slow.meanwhile = func() { require.NoError(t, epochs.Raise(t.Context(), one(), copyAt(5).AsOf)) }
			requireLatest(t, copyAt(1), bills) // asked before the change
			_, err := latest(t, bills)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
			require.NoError(t, bills.Put(t.Context(), copyAt(4)))
			_, err = latest(t, bills)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound), "read before the change, arrived after it")
			require.NoError(t, bills.Put(t.Context(), copyAt(5)))
			requireLatest(t, copyAt(5), bills)
			require.NoError(t, epochs.Raise(t.Context(), one(), copyAt(2).AsOf))
			requireLatest(t, copyAt(5), bills)
		})
	}
}

func TestEpochNeverGoesBack(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, epochs, _ := c.lines()
	for _, at := range []int{5, 2} {
		require.NoError(t, epochs.Raise(t.Context(), one(), copyAt(at).AsOf))
	}
	require.NoError(t, bills.Put(t.Context(), copyAt(4)))
	_, err := latest(t, bills)
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}

func TestLatePutDoesNotSlipUnderAnEvictedEpoch(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, customers, epochs, _ := c.lines()
	require.NoError(t, epochs.Raise(t.Context(), one(), copyAt(5).AsOf))
	c.flush(t)
	require.NoError(t, bills.Put(t.Context(), copyAt(4)))
	_, _ = customers.Latest(t.Context(), one()) // makes the line's hash anew
	_, err := latest(t, bills)
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}

func TestPutThatTheCacheMissed(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, _, _ := c.lines()
	_, _ = latest(t, bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	c.wire.cut()
	require.NoError(t, bills.Put(t.Context(), copyAt(2)))
	c.wire.flow()
	require.Eventually(t, func() bool {
		requireLatest(t, copyAt(2), bills)
		return c.count(t, "bill", "hit") > 0
	}, 10*time.Second, 10*time.Millisecond)
}

func TestLateRefillLosesAgainstANewerCopy(t *testing.T) {
	t.Parallel()
	c := open(t)
	slow := &slowBills{Bills: &memory.Bills{}}
	bills := valkey.NewCachedBills(c.Client, slow, &memory.Epochs{}, c.vault, vault.Bills(c.vault), c.log)
	_, _ = latest(t, bills)
	require.NoError(t, slow.Put(t.Context(), copyAt(1)))
	slow.meanwhile = func() { require.NoError(t, bills.Put(t.Context(), copyAt(2))) }
	requireLatest(t, copyAt(1), bills)
	requireLatest(t, copyAt(2), bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	requireLatest(t, copyAt(2), bills)
}

type slowSessions struct {
	ports.Sessions
	once
}

func (s *slowSessions) Get(ctx context.Context, sid id.ID) (auth.Session, error) {
	found, err := s.Sessions.Get(ctx, sid)
	s.act()
	return found, err
}

func TestLateRefillBringsNoSessionBack(t *testing.T) {
	t.Parallel()
	c := open(t)
	stored := &memory.Sessions{}
	slow := &slowSessions{Sessions: stored}
	here := valkey.NewCachedSessions(c.Client, slow, c.vault, c.log)
	there := valkey.NewCachedSessions(c.another(t), stored, c.vault, c.log)
	sid := id.ID{15: 1}
	_, err := here.Create(t.Context(), auth.Session{ID: sid, UserID: "hong1234", Generation: 1}, auth.DefaultSessions())
	require.NoError(t, err)
	slow.meanwhile = func() {
		_, err := there.Change(t.Context(), sid, func(s auth.Session) auth.Session { return s.Revoke(start) })
		require.NoError(t, err)
	}
	_, err = here.Get(t.Context(), sid)
	require.NoError(t, err)
	for range 2 {
		s, err := here.Get(t.Context(), sid)
		require.NoError(t, err)
		require.True(t, s.RevokedAt.Equal(start))
	}
	_, err = here.Change(t.Context(), id.ID{15: 9}, func(s auth.Session) auth.Session { return s })
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}

// TestCacheGoneInTheMiddle cuts and jams the wire under every change: the store's value is always returned.
func TestCacheGoneInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(*wire){"cut": (*wire).cut, "jam": (*wire).jam} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			bills, customers, epochs, _ := c.lines()
			sessions := valkey.NewCachedSessions(c.Client, &memory.Sessions{}, c.vault, c.log)
			ctx := t.Context()
			_, _ = latest(t, bills)
			require.NoError(t, bills.Put(ctx, copyAt(1)))
			requireLatest(t, copyAt(1), bills)
			require.NoError(t, customers.Put(ctx, product.CustomerCopy{Customer: portstest.Customer(one()), AsOf: start}))
			sid := id.ID{15: 1}
			_, err := sessions.Create(ctx, auth.Session{ID: sid}, auth.DefaultSessions())
			require.NoError(t, err)
			_, err = sessions.Get(ctx, sid)
			require.NoError(t, err)

			trouble(c.wire)
			requireLatest(t, copyAt(1), bills)
			require.NoError(t, bills.Put(ctx, copyAt(2)))
			requireLatest(t, copyAt(2), bills)
			require.NoError(t, epochs.Raise(ctx, one(), copyAt(3).AsOf))
			_, err = latest(t, bills)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
			_, err = sessions.Change(ctx, sid, func(s auth.Session) auth.Session { return s.Revoke(start) })
			require.NoError(t, err)
			s, err := sessions.Get(ctx, sid)
			require.NoError(t, err)
			require.False(t, s.RevokedAt.IsZero())
			require.Equal(t, 2, valkey.Owed(c.Client), "a line and a session")
			require.Equal(t, 1, c.logged.lines(), "said once, not at every call")
			require.Positive(t, c.count(t, "bill", "trouble"))

			c.wire.flow()
			c.settled(t)
			_, err = latest(t, bills)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound), "what the cache held is gone")
			_, err = customers.Latest(ctx, one())
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
			s, err = sessions.Get(ctx, sid)
			require.NoError(t, err)
			require.False(t, s.RevokedAt.IsZero())
			require.NoError(t, bills.Put(ctx, copyAt(4)))
			require.Eventually(t, func() bool { // cached again
				requireLatest(t, copyAt(4), bills)
				return c.count(t, "bill", "hit") > 1
			}, 10*time.Second, 10*time.Millisecond)
		})
	}
}

func TestGarbageIsAMissAndIsThrownAway(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, _, _ := c.lines()
	_, _ = latest(t, bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	key := c.keys(t)[0]
	field := "b" + portstest.Month().Compact()
	for _, garbage := range []string{"", "short", strings.Repeat("9", 20), strings.Repeat("9", 20) + "garbage"} {
		require.NoError(t,
			c.raw.Do(t.Context(), c.raw.B().Hset().Key(key).FieldValue().FieldValue(field, garbage).Build()).Error())
		requireLatest(t, copyAt(1), bills)
		requireLatest(t, copyAt(1), bills)
	}
	require.NoError(t, c.raw.Do(t.Context(), c.raw.B().Del().Key(key).Build()).Error())
	require.NoError(t, c.raw.Do(t.Context(), c.raw.B().Set().Key(key).Value("not a hash").ExSeconds(60).Build()).Error())
	requireLatest(t, copyAt(1), bills)
}

var errDown = errors.New("database down")

// failing and the down types are stores that are down.
type failing struct{ ports.Bills }

type downCustomers struct{ ports.Customers }

func (downCustomers) Latest(context.Context, line.Number) (product.CustomerCopy, error) {
	return product.CustomerCopy{}, errDown
}

func (downCustomers) Put(context.Context, product.CustomerCopy) error { return errDown }

type downPlans struct{ ports.Plans }

func (downPlans) Put(context.Context, product.PlansCopy) error { return errDown }

type downEpochs struct{ ports.Epochs }

func (downEpochs) Of(context.Context, line.Number) (time.Time, error) { return time.Time{}, errDown }

func (downEpochs) Raise(context.Context, line.Number, time.Time) error { return errDown }

type downSessions struct{ ports.Sessions }

func (downSessions) Get(context.Context, id.ID) (auth.Session, error) { return auth.Session{}, errDown }

func (downSessions) Change(context.Context, id.ID, func(auth.Session) auth.Session) (auth.Session, error) {
	return auth.Session{}, errDown
}

func (failing) Put(context.Context, bill.Copy) error { return errDown }
func (failing) Latest(context.Context, line.Number, calendar.Month) (bill.Copy, error) {
	return bill.Copy{}, errDown
}

func (failing) Version(context.Context, line.Number, calendar.Month, id.ID) (bill.Copy, error) {
	return bill.Copy{}, errDown
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, _, stored := c.lines()
	_, _ = latest(t, bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	down := valkey.NewCachedBills(c.Client, failing{stored}, &memory.Epochs{}, c.vault, vault.Bills(c.vault), c.log)
	requireLatest(t, copyAt(1), down)
	require.ErrorIs(t, down.Put(t.Context(), copyAt(2)), errDown)
	_, err := down.Latest(t.Context(), portstest.Line(2), portstest.Month())
	require.ErrorIs(t, err, errDown)
	v, err := down.Version(t.Context(), one(), portstest.Month(), copyAt(1).Version)
	require.NoError(t, err, "the version that is cached")
	require.Equal(t, copyAt(1), v)
	_, err = down.Version(t.Context(), one(), portstest.Month(), copyAt(2).Version)
	require.ErrorIs(t, err, errDown)
}

// TestCachedValuesAreReturnedWhileTheStoresAreDown: reads prefer availability (ADR 24).
func TestCachedValuesAreReturnedWhileTheStoresAreDown(t *testing.T) {
	t.Parallel()
	c := open(t)
	ctx := t.Context()
	customers := func(next ports.Customers, epochs ports.Epochs) ports.Customers {
		return valkey.NewCachedCustomers(c.Client, next, epochs, c.vault, vault.Customers(c.vault), c.log)
	}
	plans := func(next ports.Plans) ports.Plans {
		return valkey.NewCachedPlans(c.Client, next, vault.Plans(c.vault), c.log)
	}
	sessions := func(next ports.Sessions) ports.Sessions {
		return valkey.NewCachedSessions(c.Client, next, c.vault, c.log)
	}
	held := product.CustomerCopy{Customer: portstest.Customer(one()), AsOf: start}
	storedCustomers, storedPlans, storedSessions := &memory.Customers{}, &memory.Plans{}, &memory.Sessions{}
	sid := id.ID{15: 1}
	require.NoError(t, storedCustomers.Put(ctx, held))
	require.NoError(t, storedPlans.Put(ctx, portstest.PlansCopies()[0]))
	_, err := storedSessions.Create(ctx, auth.Session{ID: sid}, auth.DefaultSessions())
	require.NoError(t, err)

	_, err = customers(storedCustomers, downEpochs{}).Latest(ctx, one())
	require.NoError(t, err, "the epoch is for the cache alone")
	_, err = customers(downCustomers{}, downEpochs{}).Latest(ctx, one())
	require.ErrorIs(t, err, errDown, "without the epoch nothing was kept")
	_, err = customers(storedCustomers, &memory.Epochs{}).Latest(ctx, one())
	require.NoError(t, err)
	_, err = plans(storedPlans).Latest(ctx)
	require.NoError(t, err)
	_, err = sessions(storedSessions).Get(ctx, sid)
	require.NoError(t, err)
	for range 3 {
		got, err := customers(downCustomers{}, downEpochs{}).Latest(ctx, one())
		require.NoError(t, err)
		require.Equal(t, held.Customer, got.Customer)
		_, err = plans(downPlans{}).Latest(ctx)
		require.NoError(t, err)
		_, err = sessions(downSessions{}).Get(ctx, sid)
		require.NoError(t, err)
	}
}

func TestFailedWritesAreNotCached(t *testing.T) {
	t.Parallel()
	c := open(t)
	ctx := t.Context()
	customers := valkey.NewCachedCustomers(c.Client, downCustomers{}, &memory.Epochs{}, c.vault, vault.Customers(c.vault),
		c.log)
	require.ErrorIs(t, customers.Put(ctx, product.CustomerCopy{Customer: portstest.Customer(one()), AsOf: start}), errDown)
	plans := valkey.NewCachedPlans(c.Client, downPlans{}, vault.Plans(c.vault), c.log)
	require.ErrorIs(t, plans.Put(ctx, portstest.PlansCopies()[0]), errDown)
	require.ErrorIs(t, valkey.NewCachedEpochs(c.Client, downEpochs{}, c.vault, c.log).Raise(ctx, one(), start), errDown)
	require.Empty(t, c.keys(t))

	sessions := &memory.Sessions{}
	here := valkey.NewCachedSessions(c.Client, sessions, c.vault, c.log)
	sid := id.ID{15: 1}
	_, err := here.Create(ctx, auth.Session{ID: sid}, auth.DefaultSessions())
	require.NoError(t, err)
	_, err = here.Get(ctx, sid)
	require.NoError(t, err)
	// committed, but the response is lost
	_, err = sessions.Change(ctx, sid, func(s auth.Session) auth.Session { return s.Revoke(start) })
	require.NoError(t, err)
	_, err = valkey.NewCachedSessions(c.Client, downSessions{}, c.vault, c.log).Change(ctx, sid, nil)
	require.ErrorIs(t, err, errDown)
	s, err := here.Get(ctx, sid)
	require.NoError(t, err)
	require.False(t, s.RevokedAt.IsZero(), "not known whether it was changed: asked again")
}

type stubborn struct{}

func (stubborn) Seal(sealing.Place, bill.Copy) ([]byte, error) { return nil, errDown }
func (stubborn) Open(sealing.Place, []byte) (bill.Copy, error) { return bill.Copy{}, errDown }
func (stubborn) Reseal(sealing.Place, []byte) ([]byte, error)  { return nil, errDown }
func (stubborn) Bound([]byte) bool                             { return true }

func TestUnsealableValuesAreNotCached(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills := valkey.NewCachedBills(c.Client, &memory.Bills{}, &memory.Epochs{}, c.vault, stubborn{}, c.log)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	requireLatest(t, copyAt(1), bills)
	c.settled(t)
	requireLatest(t, copyAt(1), bills)
	require.Positive(t, c.logged.lines())
}

func TestACancelledCallIsNoTrouble(t *testing.T) {
	t.Parallel()
	c := open(t)
	bills, _, epochs, _ := c.lines()
	_, _ = latest(t, bills)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = bills.Latest(ctx, one(), portstest.Month())
	require.NoError(t, bills.Put(ctx, copyAt(1)), "the memory store does not mind")
	require.NoError(t, epochs.Raise(ctx, one(), copyAt(2).AsOf))
	require.Zero(t, valkey.Owed(c.Client), "the cache was updated all the same")
	require.Zero(t, c.logged.lines())
	_, err := latest(t, bills)
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}

func TestOpenWithoutACache(t *testing.T) {
	t.Parallel()
	c := open(t)
	c.wire.cut()
	late := c.another(t)
	require.Error(t, late.Ping(t.Context()))
	plans := valkey.NewCachedPlans(late, &memory.Plans{}, vault.Plans(c.vault), c.log)
	require.NoError(t, plans.Put(t.Context(), portstest.PlansCopies()[0]))
	got, err := plans.Latest(t.Context())
	require.NoError(t, err)
	require.True(t, got.AsOf.Equal(portstest.PlansCopies()[0].AsOf))
	c.wire.flow()
	require.Eventually(t, func() bool { return late.Ping(t.Context()) == nil && valkey.Owed(late) == 0 }, 10*time.Second,
		10*time.Millisecond)

	for _, bad := range []valkey.Config{
		{Addr: "nowhere"}, {Addr: "one:1,two:2"}, {Addr: "one:1,two", Cluster: true}, {Addr: "one:1,", Cluster: true}, {},
	} {
		_, err = valkey.Open(t.Context(), bad)
		require.Error(t, err, bad.Addr)
	}
}

func TestOnMiniredis(t *testing.T) {
	t.Parallel()
	portstest.Bills(t, func(t *testing.T) (ports.Bills, ports.Epochs) {
		t.Helper()
		server := miniredis.RunT(t)
		server.RequireAuth("secret")
		client, err := valkey.Open(t.Context(),
			valkey.Config{Addr: server.Addr(), Password: personal.NewSecret("secret"), Mini: true})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		require.NoError(t, client.Ping(t.Context()))
		durable, v, log := &memory.Epochs{}, memory.Vault{}, slog.New(slog.DiscardHandler)
		return valkey.NewCachedBills(client, &memory.Bills{Epochs: durable}, durable, v, &memory.Sealer[bill.Copy]{}, log),
			valkey.NewCachedEpochs(client, durable, v, log)
	})
}
