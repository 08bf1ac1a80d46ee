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
	Attempts      int               // calls of KOS for one fact
	Seen          func(line.Number) // is told whose customers are here
}

// Customer answers the line's customer: a copy that is fresh within the limits, else what KOS says, else a stale copy; LINE_NOT_FOUND or
// SERVICE_UNAVAILABLE. A copy store in trouble counts as empty.
func (s *Service) Customer(
	ctx context.Context, n line.Number, within freshness.Limits,
) (product.CustomerCopy, freshness.Source, error) {
	s.Seen(n)
	got, err := s.FetchCustomer.Get(ctx, s.aboutCustomer(n, time.Time{}, within))
	return got.Copy, got.Source, err
}

// Prefetch fetches the line's customer unless the copy is fresh, and answers when KOS told it.
func (s *Service) Prefetch(ctx context.Context, n line.Number) (told time.Time, err error) {
	got, err := s.FetchCustomer.Get(ctx, s.aboutCustomer(n, time.Time{}, s.OfCustomers))
	return got.Copy.AsOf, err
}

// CustomerNow answers what KOS was asked after the call began: facts for a change are never from before it (decision 10).
func (s *Service) CustomerNow(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	got, err := s.FetchCustomer.Get(ctx, s.aboutCustomer(n, s.Now(), s.OfCustomers))
	return got.Copy, err
}

func (s *Service) aboutCustomer(n line.Number, since time.Time, within freshness.Limits) fetch.Question[product.CustomerCopy] {
	asking := func(of KOS) func(context.Context) (product.CustomerCopy, error) {
		return func(ctx context.Context) (product.CustomerCopy, error) {
			asked := s.Now()
			c, err := of.Customer(ctx, n)
			return product.CustomerCopy{Customer: c, AsOf: asked}, err
		}
	}
	return fetch.Question[product.CustomerCopy]{
		Subject: freshness.Subject{Kind: freshness.Customers, Line: n}, Since: since,
		Lane: s.Lane, Patience: s.Patience, Attempts: s.Attempts,
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
		Subject: freshness.Subject{Kind: freshness.Plans}, Lane: s.Lane, Patience: s.Patience, Attempts: s.Attempts,
		Latest: s.Plans.Latest, Kept: s.KeptPlans.Latest,
		Judge: func(held product.PlansCopy, since, now time.Time, rnd float64) freshness.State {
			return held.Limits(within).Decide(held.AsOf, since, now, rnd)
		},
		Ask: asking(s.KOS), Renew: asking(s.Renewing), Keep: s.Plans.Put, Old: troubled,
	})
	return got.Copy, got.Source, err
}

// troubled tells that KOS could not answer, as against an answer that we do not like.
func troubled(err error, _ int) bool { return fault.From(err).Kind() == fault.Unavailable }

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

// ForChange answers facts good enough for a change: the customer as of now, the plan list at most 60 s old (decision 10).
func (s *Service) ForChange(ctx context.Context, n line.Number) (product.Customer, product.PlansCopy, error) {
	type planAnswer struct {
		plans product.PlansCopy
		err   error
	}
	plans := make(chan planAnswer, 1)
	go func() {
		p, _, err := s.plans(ctx, freshness.PlanCheck)
		plans <- planAnswer{p, err}
	}()
	c, err := s.CustomerNow(ctx, n)
	p := <-plans
	return c.Customer, p.plans, errors.Join(err, p.err)
}
