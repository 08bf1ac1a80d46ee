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
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/ports"
)

// Service fetches facts. It is safe for concurrent use.
type Service struct {
	KOSCustomers ports.CustomerSource
	KOSPlans     ports.PlanSource
	Customers    ports.Customers
	Plans        ports.Plans
	Now          ports.Clock
	Call         time.Duration // one KOS call
}

// Customer answers the line's customer: a fresh copy, else what KOS says, else a stale copy; LINE_NOT_FOUND or
// SERVICE_UNAVAILABLE. A copy store in trouble counts as empty.
func (s *Service) Customer(ctx context.Context, n line.Number) (product.CustomerCopy, product.Source, error) {
	held, err := s.Customers.Latest(ctx, n)
	state := freshness.Gone
	if err == nil {
		state = freshness.Customer.Decide(held.AsOf, time.Time{}, s.Now(), 0)
	}
	if state == freshness.Fresh {
		return held, product.FromCache, nil
	}
	told, err := s.CustomerNow(ctx, n)
	if state == freshness.Stale && troubled(err) {
		return held, product.FromStale, nil
	}
	return told, product.FromKOS, err
}

// CustomerNow asks KOS: facts for a change are never from a copy (decision 10).
func (s *Service) CustomerNow(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	call, cancel := context.WithTimeout(ctx, s.Call)
	defer cancel()
	asked := s.Now()
	c, err := s.KOSCustomers.Customer(call, n)
	if err != nil {
		return product.CustomerCopy{}, err
	}
	told := product.CustomerCopy{Customer: c, AsOf: asked}
	_ = s.Customers.Put(ctx, told) // KOS has answered; a copy that cannot be kept is asked for again
	return told, nil
}

// PlanList answers the plan list within the given limits, as Customer does.
func (s *Service) PlanList(ctx context.Context, within freshness.Limits) (product.PlansCopy, product.Source, error) {
	held, err := s.Plans.Latest(ctx)
	state := freshness.Gone
	if err == nil {
		state = within.Decide(held.AsOf, time.Time{}, s.Now(), 0)
	}
	if state == freshness.Fresh {
		return held, product.FromCache, nil
	}
	told, err := s.plansNow(ctx)
	if state == freshness.Stale && troubled(err) {
		return held, product.FromStale, nil
	}
	return told, product.FromKOS, err
}

func (s *Service) plansNow(ctx context.Context) (product.PlansCopy, error) {
	call, cancel := context.WithTimeout(ctx, s.Call)
	defer cancel()
	asked := s.Now()
	plans, err := s.KOSPlans.Plans(call)
	if err != nil {
		return product.PlansCopy{}, err
	}
	told := product.PlansCopy{Plans: plans, AsOf: asked}
	_ = s.Plans.Put(ctx, told) // as for customers
	return told, nil
}

// ForScreen answers what a screen shows, both facts fetched at the same time, each fresh or stale as it is.
func (s *Service) ForScreen(ctx context.Context, n line.Number) (Screen, error) {
	var plansErr, err error
	var out Screen
	var wg sync.WaitGroup
	wg.Go(func() { out.Plans, out.PlansSource, plansErr = s.PlanList(ctx, freshness.PlanList) })
	out.Customer, out.Source, err = s.Customer(ctx, n)
	wg.Wait()
	return out, errors.Join(err, plansErr)
}

// Screen is what a screen shows.
type Screen struct {
	Customer    product.CustomerCopy
	Source      product.Source
	Plans       product.PlansCopy
	PlansSource product.Source
}

// ForChange answers facts good enough for a change: the customer as of now, the plan list at most 60 s old (decision 10).
func (s *Service) ForChange(ctx context.Context, n line.Number) (product.Customer, product.PlansCopy, error) {
	type planAnswer struct {
		plans product.PlansCopy
		err   error
	}
	plans := make(chan planAnswer, 1)
	go func() {
		p, _, err := s.PlanList(ctx, freshness.PlanCheck)
		plans <- planAnswer{p, err}
	}()
	c, err := s.CustomerNow(ctx, n)
	p := <-plans
	return c.Customer, p.plans, errors.Join(err, p.err)
}

// troubled tells that KOS could not answer, as against an answer that we do not like.
func troubled(err error) bool { return err != nil && fault.From(err).Kind() == fault.Unavailable }
