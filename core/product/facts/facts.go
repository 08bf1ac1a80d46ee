// Package facts fetches what a screen or a pre-check must know: the customer of a line and the plan list, from a copy that is
// fresh enough or from KOS.
package facts

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/fetch"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// KOS is what facts are asked of, in one lane of the quota.
type KOS interface {
	ports.CustomerSource
	ports.PlanSource
}

// Service fetches facts. It is safe for concurrent use. Services of different haste share stores and fetchers.
type Service struct {
	KOS           KOS
	Lane          quota.Lane // of KOS
	Renewing      KOS        // in the lane of refreshes
	Customers     ports.Customers
	KeptCustomers ports.Customers // the same without a cache
	Plans         ports.Plans
	KeptPlans     ports.Plans // the same without a cache
	OfCustomers   freshness.Limits
	OfStatus      freshness.Limits // of customers where the line's status is shown
	OfPlans       freshness.Limits
	FetchCustomer *fetch.Service[product.CustomerCopy]
	FetchPlans    *fetch.Service[product.PlansCopy]
	Now           ports.Clock
	Patience      time.Duration     // with one fact
	Wait          time.Duration     // of who asks, while the question goes on; 0 = as long as it takes
	Attempts      int               // calls of KOS for one fact
	Seen          func(line.Number) // is told whose customers are here
}

// Customer answers the line's customer: a copy that is fresh within the limits, else what KOS says, else a stale copy; LINE_NOT_FOUND or
// SERVICE_UNAVAILABLE. A copy store in trouble counts as empty.
func (s *Service) Customer(
	ctx context.Context, n line.Number, within freshness.Limits,
) (product.CustomerCopy, freshness.Source, error) {
	s.Seen(n)
	got, err := s.FetchCustomer.Get(ctx, s.aboutCustomer(ctx, n, time.Time{}, within))
	return got.Copy, got.Source, err
}

// FreshCustomer is Customer without stale copies: the trouble is returned instead, with its Retry-After.
func (s *Service) FreshCustomer(ctx context.Context, n line.Number) (product.CustomerCopy, freshness.Source, error) {
	s.Seen(n)
	q := s.aboutCustomer(ctx, n, time.Time{}, s.OfCustomers)
	q.Old = nil
	got, err := s.FetchCustomer.Get(ctx, q)
	return got.Copy, got.Source, err
}

// Prefetch fetches the line's customer unless the copy is fresh, and answers when KOS told it.
func (s *Service) Prefetch(ctx context.Context, n line.Number) (told time.Time, err error) {
	got, err := s.FetchCustomer.Get(ctx, s.aboutCustomer(ctx, n, time.Time{}, s.OfCustomers))
	return got.Copy.AsOf, err
}

// CustomerNow answers what KOS was asked after the call began: facts for a change are never from before it (ADR 22).
func (s *Service) CustomerNow(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	return s.customerSince(ctx, n, s.Now())
}

// customerSince returns what KOS was asked at since or later.
func (s *Service) customerSince(ctx context.Context, n line.Number, since time.Time) (product.CustomerCopy, error) {
	got, err := s.FetchCustomer.Get(ctx, s.aboutCustomer(ctx, n, since, s.OfCustomers))
	return got.Copy, err
}

func (s *Service) aboutCustomer(
	ctx context.Context, n line.Number, since time.Time, within freshness.Limits,
) fetch.Question[product.CustomerCopy] {
	asking := func(of KOS) func(context.Context) (product.CustomerCopy, error) {
		return func(ctx context.Context) (product.CustomerCopy, error) {
			asked := s.Now()
			c, err := of.Customer(ctx, n)
			return product.CustomerCopy{Customer: c, AsOf: asked}, err
		}
	}
	return fetch.Question[product.CustomerCopy]{
		Subject: freshness.Subject{Kind: freshness.Customers, Line: n}, Since: since,
		Lane: s.Lane, Patience: s.Patience, Wait: s.Wait, Attempts: s.Attempts, Payer: ports.PayerOf(ctx),
		Latest: func(ctx context.Context) (product.CustomerCopy, error) { return s.Customers.Latest(ctx, n) },
		Kept:   func(ctx context.Context) (product.CustomerCopy, error) { return s.KeptCustomers.Latest(ctx, n) },
		Judge: func(held product.CustomerCopy, since, now time.Time, rnd float64) freshness.State {
			if held.Doubtful && !since.IsZero() {
				return freshness.Gone // a change is judged by what KOS says, not by what may be left of it
			}
			return held.Limits(within).Decide(held.AsOf, since, now, rnd)
		},
		Ask: asking(s.KOS), Renew: asking(s.Renewing), Keep: s.Customers.Put, Old: troubled,
	}
}

// PlanList answers the plan list, as Customer does.
func (s *Service) PlanList(ctx context.Context) (product.PlansCopy, freshness.Source, error) {
	return s.plans(ctx, s.OfPlans)
}

func (s *Service) plans(ctx context.Context, within freshness.Limits) (product.PlansCopy, freshness.Source, error) {
	asking := func(of KOS) func(context.Context) (product.PlansCopy, error) {
		return func(ctx context.Context) (product.PlansCopy, error) {
			asked := s.Now()
			plans, err := of.Plans(ctx)
			return product.PlansCopy{Plans: plans, AsOf: asked}, err
		}
	}
	got, err := s.FetchPlans.Get(ctx, fetch.Question[product.PlansCopy]{
		Subject: freshness.Subject{Kind: freshness.Plans}, Lane: s.Lane, Patience: s.Patience, Wait: s.Wait, Attempts: s.Attempts,
		Payer:  ports.PayerOf(ctx),
		Latest: s.Plans.Latest, Kept: s.KeptPlans.Latest,
		Judge: func(held product.PlansCopy, since, now time.Time, rnd float64) freshness.State {
			return held.Limits(within).Decide(held.AsOf, since, now, rnd)
		},
		Ask: asking(s.KOS), Renew: asking(s.Renewing), Keep: s.Plans.Put, Old: troubled,
	})
	return got.Copy, got.Source, err
}

// troubled reports that KOS could not answer, or was not asked since the customer's allowance is spent, as against an
// answer that we do not like.
func troubled(err error, _ int) bool {
	kind := fault.From(err).Kind()
	return kind == fault.Unavailable || kind == fault.RateLimited
}

// ForScreen answers what a screen shows, both facts fetched at the same time, each fresh or stale as it is; within is for the customer.
func (s *Service) ForScreen(ctx context.Context, n line.Number, within freshness.Limits) (Screen, error) {
	var plansErr, err error
	var out Screen
	var wg sync.WaitGroup
	wg.Go(func() { out.Plans, out.PlansSource, plansErr = s.PlanList(ctx) })
	out.Customer, out.Source, err = s.Customer(ctx, n, within)
	wg.Wait()
	return out, errors.Join(err, plansErr)
}

// Screen is what a screen shows.
type Screen struct {
	Customer    product.CustomerCopy
	Source      freshness.Source
	Plans       product.PlansCopy
	PlansSource freshness.Source
}

// ForChange answers facts good enough for a change: the customer as of now, the plan list at most 60 s old (ADR 22).
func (s *Service) ForChange(ctx context.Context, n line.Number) (product.Customer, product.PlansCopy, error) {
	return s.since(ctx, n, s.Now())
}

// ForCheck returns facts good enough for a check that changes nothing: the customer at most freshness.CheckAge old, the
// plan list at most 60 s. One who checks again and again asks KOS no more often than that.
func (s *Service) ForCheck(ctx context.Context, n line.Number) (product.Customer, product.PlansCopy, error) {
	return s.since(ctx, n, s.Now().Add(-freshness.CheckAge))
}

func (s *Service) since(ctx context.Context, n line.Number, since time.Time) (product.Customer, product.PlansCopy, error) {
	type planAnswer struct {
		plans product.PlansCopy
		err   error
	}
	plans := make(chan planAnswer, 1)
	go func() {
		p, _, err := s.plans(ctx, freshness.PlanCheck)
		plans <- planAnswer{p, err}
	}()
	c, err := s.customerSince(ctx, n, since)
	p := <-plans
	return c.Customer, p.plans, errors.Join(err, p.err)
}
