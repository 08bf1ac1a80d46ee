package catalog_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/quota"
	"phonebill/ports"
)

var errBackend = errors.New("backend is in trouble")

type customers struct {
	memory.Customers
	broken error
}

func (c *customers) Latest(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	if c.broken != nil {
		return product.CustomerCopy{}, c.broken
	}
	return c.Customers.Latest(ctx, n)
}

func (c *customers) LatestCommitted(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	return c.Latest(ctx, n)
}

func (c *customers) Put(ctx context.Context, fetched product.CustomerCopy) error {
	return errors.Join(c.broken, c.Customers.Put(ctx, fetched))
}

type plans struct {
	memory.Plans
	broken error
}

func (p *plans) Latest(ctx context.Context) (product.PlansCopy, error) {
	if p.broken != nil {
		return product.PlansCopy{}, p.broken
	}
	return p.Plans.Latest(ctx)
}

func (p *plans) LatestCommitted(ctx context.Context) (product.PlansCopy, error) { return p.Latest(ctx) }

func (p *plans) Put(ctx context.Context, fetched product.PlansCopy) error {
	return errors.Join(p.broken, p.Plans.Put(ctx, fetched))
}

type factsWorld struct {
	*catalog.Facts
	kos       *memory.KOS
	customers *customers
	plans     *plans
	epochs    *memory.Epochs
	now       time.Time
	line      line.Number
}

func newFactsWorld(t *testing.T) *factsWorld {
	t.Helper()
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	w := &factsWorld{
		kos: memory.NewKOS(product.Plan{Code: "LTE"}), customers: &customers{}, plans: &plans{},
		epochs: &memory.Epochs{}, line: n, now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC),
	}
	w.customers.Epochs = w.epochs
	w.kos.AddCustomer(product.Customer{Line: n, PlanCode: "LTE"}, nil)
	clock, middle := func() time.Time { return w.now }, func() float64 { return 0 }
	w.Facts = &catalog.Facts{
		KOS: w.kos, Policy: copies.Policy{Lane: quota.Read, Timeout: time.Second, Attempts: 1, RefreshAhead: true},
		OfCustomers: freshness.Customer, OfStatus: freshness.Status, OfPlans: freshness.PlanList,
		NoteActiveLine: func(line.Number) {}, Customers: w.customers, Plans: w.plans, Now: clock,
		CustomerCopies: &copies.Copies[product.CustomerCopy]{Flights: memory.NewFlights(clock), Now: clock, Random: middle},
		PlanCopies:     &copies.Copies[product.PlansCopy]{Flights: memory.NewFlights(clock), Now: clock, Random: middle},
	}
	return w
}

func unavailable() error { return fault.New(fault.ServiceUnavailable).RetryIn(time.Minute) }

func TestCustomerFreshStaleGone(t *testing.T) {
	t.Parallel()
	w := newFactsWorld(t)
	begin := w.now
	for _, c := range []struct {
		age  time.Duration
		down error
		want freshness.Source
		err  bool
	}{
		{0, nil, freshness.FromKOS, false}, {4*time.Hour - 1, unavailable(), freshness.FromCache, false},
		{4 * time.Hour, unavailable(), freshness.FromStale, false},
		{7*24*time.Hour - 1, unavailable(), freshness.FromStale, false},
		{7*24*time.Hour + time.Minute, unavailable(), "", true}, {8 * 24 * time.Hour, nil, freshness.FromKOS, false},
	} {
		w.now = begin.Add(c.age)
		w.kos.SetDown(c.down)
		got, source, err := w.Customer(t.Context(), ports.Call{}, w.line, w.OfCustomers)
		require.Equal(t, c.want, source, c.age)
		if c.err {
			require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
			require.Zero(t, got)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "LTE", got.Customer.PlanCode)
	}
	require.Equal(t, 5, w.kos.Calls)
}

func TestPrefetchIsAheadOfTime(t *testing.T) {
	t.Parallel()
	w := newFactsWorld(t)
	w.OfCustomers = freshness.Customer.Ahead(time.Hour)
	begin := w.now
	for _, age := range []time.Duration{0, 3*time.Hour - 1, 3 * time.Hour} {
		w.now = begin.Add(age)
		fetched, err := w.Prefetch(t.Context(), w.line)
		require.NoError(t, err)
		require.Equal(t, age >= 3*time.Hour, fetched.After(begin), age)
	}
	require.Equal(t, 2, w.kos.Calls)
	w.now = begin.Add(10 * time.Hour)
	w.kos.SetDown(fault.New(fault.LineNotFound))
	_, err := w.Prefetch(t.Context(), w.line)
	require.ErrorIs(t, err, fault.New(fault.LineNotFound))
}

// What a release stored that wrote 0 won for nothing is asked for again however young it is, and is an old copy while
// KOS cannot be asked.
func TestADoubtfulCopyIsNeverFresh(t *testing.T) {
	t.Parallel()
	w := newFactsWorld(t)
	c := product.Customer{Line: w.line, PlanCode: "OLD"}
	require.NoError(t, w.customers.Put(t.Context(), product.CustomerCopy{Customer: c, AsOf: w.now, Doubtful: true}))
	old := product.PlansCopy{Plans: []product.Plan{{Code: "OLD"}}, AsOf: w.now, Doubtful: true}
	require.NoError(t, w.plans.Put(t.Context(), old))
	w.kos.SetDown(unavailable())
	shown, err := w.ForScreen(t.Context(), ports.Call{}, w.line, w.OfCustomers)
	require.NoError(t, err)
	require.Equal(t, []freshness.Source{freshness.FromStale, freshness.FromStale},
		[]freshness.Source{shown.Source, shown.PlansSource})
	require.Equal(t, "OLD", shown.Customer.Customer.PlanCode)
	_, _, err = w.ForChange(t.Context(), ports.Call{}, w.line)
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "not good enough for a change")

	w.now = w.now.Add(time.Minute)
	w.kos.SetDown(nil)
	shown, err = w.ForScreen(t.Context(), ports.Call{}, w.line, w.OfCustomers)
	require.NoError(t, err)
	require.Equal(t, []freshness.Source{freshness.FromKOS, freshness.FromKOS},
		[]freshness.Source{shown.Source, shown.PlansSource})
	require.Equal(t, "LTE", shown.Customer.Customer.PlanCode)
	shown, err = w.ForScreen(t.Context(), ports.Call{}, w.line, w.OfCustomers)
	require.NoError(t, err)
	require.Equal(t, []freshness.Source{freshness.FromCache, freshness.FromCache},
		[]freshness.Source{shown.Source, shown.PlansSource})
}

func TestABusinessAnswerGoesBeforeAnOldCopy(t *testing.T) {
	t.Parallel()
	w := newFactsWorld(t)
	_, _, err := w.Customer(t.Context(), ports.Call{}, w.line, w.OfCustomers)
	require.NoError(t, err)
	w.now = w.now.Add(5 * time.Hour)
	w.kos.SetDown(fault.New(fault.LineNotFound))
	_, _, err = w.Customer(t.Context(), ports.Call{}, w.line, w.OfCustomers)
	require.ErrorIs(t, err, fault.New(fault.LineNotFound))
}

func TestNothingOlderThanTheOwnChange(t *testing.T) {
	t.Parallel()
	w := newFactsWorld(t)
	_, _, err := w.Customer(t.Context(), ports.Call{}, w.line, w.OfCustomers)
	require.NoError(t, err)
	require.NoError(t, w.epochs.Raise(t.Context(), w.line, w.now.Add(time.Second)))
	w.now = w.now.Add(2 * time.Second)
	_, source, err := w.Customer(t.Context(), ports.Call{}, w.line, w.OfCustomers)
	require.NoError(t, err)
	require.Equal(t, freshness.FromKOS, source)
}

func TestPlanList(t *testing.T) {
	t.Parallel()
	w := newFactsWorld(t)
	_, source, err := w.PlanList(t.Context(), ports.Call{})
	require.NoError(t, err)
	require.Equal(t, freshness.FromKOS, source)
	w.now = w.now.Add(59 * time.Second)
	_, _, err = w.ForChange(t.Context(), ports.Call{}, w.line)
	require.NoError(t, err)
	require.Equal(t, 2, w.kos.Calls, "the customer; a list of a minute ago is good enough for a change")
	w.kos.SetDown(unavailable())
	w.now = w.now.Add(time.Second)
	_, _, err = w.ForChange(t.Context(), ports.Call{}, w.line)
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "never stale for a change")
	w.now = w.now.Add(24 * time.Hour)
	held, source, err := w.PlanList(t.Context(), ports.Call{})
	require.NoError(t, err)
	require.Equal(t, freshness.FromStale, source)
	require.Len(t, held.Plans, 1)
}

func TestACopyStoreInTroubleCountsAsEmpty(t *testing.T) {
	t.Parallel()
	w := newFactsWorld(t)
	w.customers.broken, w.plans.broken = errBackend, unavailable()
	c, source, err := w.Customer(t.Context(), ports.Call{}, w.line, w.OfCustomers)
	require.NoError(t, err, "KOS has answered")
	require.Equal(t, freshness.FromKOS, source)
	require.Equal(t, w.now, c.AsOf)
	p, source, err := w.PlanList(t.Context(), ports.Call{})
	require.NoError(t, err)
	require.Equal(t, freshness.FromKOS, source)
	require.Len(t, p.Plans, 1)
	_, _, err = w.ForChange(t.Context(), ports.Call{}, w.line)
	require.NoError(t, err)
}

func TestForChangeAsksForTheCustomerEachTime(t *testing.T) {
	t.Parallel()
	w := newFactsWorld(t)
	for i := range 3 {
		c, p, err := w.ForChange(t.Context(), ports.Call{}, w.line)
		require.NoError(t, err)
		require.Equal(t, "LTE", c.PlanCode)
		require.Len(t, p.Plans, 1)
		require.Equal(t, 2+i, w.kos.Calls, "the customer each time, the plan list once a minute")
		w.now = w.now.Add(time.Second)
	}
	w.kos.SetDown(unavailable())
	_, _, err := w.ForChange(t.Context(), ports.Call{}, w.line)
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	require.Equal(t, time.Minute, fault.From(err).RetryAfter())
}

// slowSource never answers before its caller gives up.
type slowSource struct{ *memory.KOS }

func (slowSource) Customer(ctx context.Context, _ ports.Call, _ line.Number) (product.Customer, error) {
	<-ctx.Done()
	return product.Customer{}, fault.New(fault.ServiceUnavailable).Because(ctx.Err())
}

func (slowSource) Plans(ctx context.Context, _ ports.Call) ([]product.Plan, error) {
	<-ctx.Done()
	return nil, fault.New(fault.ServiceUnavailable).Because(ctx.Err())
}

func TestACallIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newFactsWorld(t)
		w.KOS = slowSource{w.kos}
		start := time.Now()
		_, _, err := w.ForChange(t.Context(), ports.Call{}, w.line)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start), "both at once")
	})
}
