package catalog

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/ports"
)

// KOS is what is asked for facts.
type KOS interface {
	ports.CustomerSource
	ports.PlanSource
}

// Facts returns what a screen or a pre-check must know: the customer of a line and the plan list, from a copy that is
// fresh enough or from KOS. It is safe for concurrent use. Facts with different policies share stores and copies.
//
// The ports.Call that its methods take says whom the facts are for and who pays; lane and attempt come from the policy.
type Facts struct {
	KOS            KOS
	Policy         copies.Policy
	Customers      ports.Customers
	Plans          ports.Plans
	OfCustomers    freshness.Limits
	OfStatus       freshness.Limits // of customers where the line's status is shown
	OfPlans        freshness.Limits
	CustomerCopies *copies.Copies[product.CustomerCopy]
	PlanCopies     *copies.Copies[product.PlansCopy]
	Now            ports.Clock
	NoteActiveLine func(line.Number) // records that the line's customer is active
}

// Customer returns the line's customer: a copy that is fresh within the limits, else what KOS states, else a stale
// copy; LINE_NOT_FOUND or SERVICE_UNAVAILABLE. A copy store that fails counts as empty.
func (s *Facts) Customer(
	ctx context.Context, call ports.Call, n line.Number, within freshness.Limits,
) (product.CustomerCopy, freshness.Source, error) {
	s.NoteActiveLine(n)
	got, err := s.CustomerCopies.Get(ctx, s.customerQuery(call, n, within))
	return got.Value, got.Source, err
}

// FreshCustomer is Customer without stale copies: the error is returned instead, with its Retry-After.
func (s *Facts) FreshCustomer(
	ctx context.Context, call ports.Call, n line.Number,
) (product.CustomerCopy, freshness.Source, error) {
	s.NoteActiveLine(n)
	q := s.customerQuery(call, n, s.OfCustomers)
	q.Source = customerSource{s, n, s.OfCustomers, false}
	got, err := s.CustomerCopies.Get(ctx, q)
	return got.Value, got.Source, err
}

// Prefetch asks KOS for the line's customer unless the copy is fresh, and returns when KOS was asked.
func (s *Facts) Prefetch(ctx context.Context, n line.Number) (asOf time.Time, err error) {
	got, err := s.CustomerCopies.Get(ctx, s.customerQuery(ports.Call{}, n, s.OfCustomers))
	return got.Value.AsOf, err
}

// CustomerNow returns what KOS was asked for after the method was called: facts for a change are never from before it
// (ADR 22).
func (s *Facts) CustomerNow(ctx context.Context, call ports.Call, n line.Number) (product.CustomerCopy, error) {
	return s.customerSince(ctx, call, n, s.Now())
}

// customerSince returns what KOS was asked for at since or later.
func (s *Facts) customerSince(
	ctx context.Context, call ports.Call, n line.Number, since time.Time,
) (product.CustomerCopy, error) {
	q := s.customerQuery(call, n, s.OfCustomers)
	q.Since = since
	got, err := s.CustomerCopies.Get(ctx, q)
	return got.Value, err
}

func (s *Facts) customerQuery(
	call ports.Call, n line.Number, within freshness.Limits,
) copies.Query[product.CustomerCopy] {
	return copies.Query[product.CustomerCopy]{
		Subject: freshness.Subject{Kind: freshness.Customers, Key: personal.NewSecret(n.Digits())},
		Source:  customerSource{s, n, within, true}, Policy: s.Policy, Call: call,
	}
}

// customerSource is the copies.Source of one line's customer.
type customerSource struct {
	*Facts

	line        line.Number
	within      freshness.Limits
	staleServed bool
}

func (c customerSource) Read(ctx context.Context) (product.CustomerCopy, error) {
	return c.Customers.Latest(ctx, c.line)
}

func (c customerSource) ReadCommitted(ctx context.Context) (product.CustomerCopy, error) {
	return c.Customers.LatestCommitted(ctx, c.line)
}

// State judges a change by what KOS states, not by a doubtful copy.
func (c customerSource) State(stored product.CustomerCopy, since, now time.Time, rnd float64) freshness.State {
	if stored.Doubtful && !since.IsZero() {
		return freshness.Gone
	}
	return stored.Limits(c.within).Decide(stored.AsOf, since, now, rnd)
}

func (c customerSource) Ask(ctx context.Context, call ports.Call) (product.CustomerCopy, error) {
	asked := c.Now()
	customer, err := c.KOS.Customer(ctx, call, c.line)
	return product.CustomerCopy{Customer: customer, AsOf: asked}, err
}

func (c customerSource) Store(ctx context.Context, answer product.CustomerCopy) error {
	return c.Customers.Put(ctx, answer)
}

func (c customerSource) MayServeStale(trouble error, _ int) bool {
	return c.staleServed && mayServeStale(trouble)
}

// PlanList returns the plan list, as Customer does.
func (s *Facts) PlanList(ctx context.Context, call ports.Call) (product.PlansCopy, freshness.Source, error) {
	return s.plans(ctx, call, s.OfPlans)
}

func (s *Facts) plans(
	ctx context.Context, call ports.Call, within freshness.Limits,
) (product.PlansCopy, freshness.Source, error) {
	got, err := s.PlanCopies.Get(ctx, s.plansQuery(call, within))
	return got.Value, got.Source, err
}

func (s *Facts) plansQuery(call ports.Call, within freshness.Limits) copies.Query[product.PlansCopy] {
	return copies.Query[product.PlansCopy]{
		Subject: freshness.Subject{Kind: freshness.Plans},
		Source:  planSource{s, within}, Policy: s.Policy, Call: call,
	}
}

// planSource is the copies.Source of the plan list.
type planSource struct {
	*Facts

	within freshness.Limits
}

func (p planSource) Read(ctx context.Context) (product.PlansCopy, error) { return p.Plans.Latest(ctx) }

func (p planSource) ReadCommitted(ctx context.Context) (product.PlansCopy, error) {
	return p.Plans.LatestCommitted(ctx)
}

func (p planSource) State(stored product.PlansCopy, since, now time.Time, rnd float64) freshness.State {
	return stored.Limits(p.within).Decide(stored.AsOf, since, now, rnd)
}

func (p planSource) Ask(ctx context.Context, call ports.Call) (product.PlansCopy, error) {
	asked := p.Now()
	plans, err := p.KOS.Plans(ctx, call)
	return product.PlansCopy{Plans: plans, AsOf: asked}, err
}

func (p planSource) Store(ctx context.Context, answer product.PlansCopy) error {
	return p.Plans.Put(ctx, answer)
}

func (planSource) MayServeStale(trouble error, _ int) bool { return mayServeStale(trouble) }

// mayServeStale reports whether KOS could not answer, or was not asked since the customer's allowance is spent. Any
// other error is an answer of KOS, which a stale copy must not hide.
func mayServeStale(trouble error) bool {
	kind := fault.From(trouble).Kind()
	return kind == fault.Unavailable || kind == fault.RateLimited
}

// ForScreen returns what a screen shows, both facts fetched at the same time, each fresh or stale; within is for the
// customer.
func (s *Facts) ForScreen(
	ctx context.Context, call ports.Call, n line.Number, within freshness.Limits,
) (ScreenFacts, error) {
	var plansErr, err error
	var out ScreenFacts
	var wg sync.WaitGroup
	wg.Go(func() { out.Plans, out.PlansSource, plansErr = s.PlanList(ctx, call) })
	out.Customer, out.Source, err = s.Customer(ctx, call, n, within)
	wg.Wait()
	return out, errors.Join(err, plansErr)
}

// ScreenFacts are what a screen shows.
type ScreenFacts struct {
	Customer    product.CustomerCopy
	Source      freshness.Source
	Plans       product.PlansCopy
	PlansSource freshness.Source
}

// ForChange returns facts good enough for a change: the customer as of now, the plan list at most 60 s old (ADR 22).
func (s *Facts) ForChange(
	ctx context.Context, call ports.Call, n line.Number,
) (product.Customer, product.PlansCopy, error) {
	return s.since(ctx, call, n, s.Now())
}

// ForCheck returns facts good enough for a check that changes nothing: the customer at most freshness.CheckAge old, the
// plan list at most 60 s. A customer who checks again and again asks KOS no more often than that.
func (s *Facts) ForCheck(
	ctx context.Context, call ports.Call, n line.Number,
) (product.Customer, product.PlansCopy, error) {
	return s.since(ctx, call, n, s.Now().Add(-freshness.CheckAge))
}

func (s *Facts) since(
	ctx context.Context, call ports.Call, n line.Number, since time.Time,
) (product.Customer, product.PlansCopy, error) {
	type planAnswer struct {
		plans product.PlansCopy
		err   error
	}
	plans := make(chan planAnswer, 1)
	go func() {
		p, _, err := s.plans(ctx, call, freshness.PlanCheck)
		plans <- planAnswer{p, err}
	}()
	c, err := s.customerSince(ctx, call, n, since)
	p := <-plans
	return c.Customer, p.plans, errors.Join(err, p.err)
}
