package compose

import (
	"context"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/boot"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/freshness"
	"phonebill/core/freshness/warm"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/facts"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Prefetch configures what is fetched before anybody asks for it.
type Prefetch struct {
	Active time.Duration   // lines whose customers were here within it are kept warm
	Night  freshness.Night // when their bills are fetched
}

// ReadPrefetch reads PREFETCH_ACTIVE (168h) and PREFETCH_NIGHT, times of day in Seoul like 02:00-05:00, or "off".
func ReadPrefetch(r *boot.Reader, night string) Prefetch {
	return Prefetch{
		Active: r.Duration("PREFETCH_ACTIVE", 7*24*time.Hour), Night: boot.Parsed(r, "PREFETCH_NIGHT", night, freshness.ParseNight),
	}
}

const (
	prefetching = 5 * time.Second // between two looks at what is due
	ahead       = 12              // of its soft lifetime, that part before its end a copy is fetched
)

// warmCustomers keeps customers warm, and answers who is to be told of those that are here. like has the stores.
func (p *parts) warmCustomers(c Prefetch, to outside, at stores, like facts.Service, flights ports.Flights) func(line.Number) {
	like.KOS, like.Lane = to.kos.In(quota.Prefetch), quota.Prefetch
	like.Attempts, like.Patience, like.Wait = 1, factsPatience, 0
	like.OfCustomers = like.OfCustomers.Ahead(like.OfCustomers.Soft / ahead)
	like.FetchCustomer = fetcher[product.CustomerCopy](p, flights, nil) // one whose tally is not the customers'
	return p.warm(&warm.Service{
		Kind: freshness.Customers, Lines: postgres.NewActiveLines(to.kosPool, at.keyring), Active: c.Active, Now: p.Now,
		Open: func(time.Time) bool { return true }, Fetch: like.Prefetch,
		Next: func(told time.Time) time.Time { return told.Add(like.OfCustomers.Soft) },
	})
}

// warmPlans keeps the plan list warm, from the start.
func (p *parts) warmPlans(to outside, like facts.Service, flights ports.Flights) {
	like.KOS, like.Lane, like.Attempts, like.Wait = to.kos.In(quota.Refresh), quota.Refresh, 1, 0
	like.OfPlans = like.OfPlans.Ahead(like.OfPlans.Soft / ahead)
	like.FetchPlans = fetcher[product.PlansCopy](p, flights, nil)
	p.worker("plans-prefetch", prefetching, func(ctx context.Context) (int, error) {
		_, _, _ = like.PlanList(ctx) // trouble is looked at again, and those who ask hear of it
		return 0, nil
	})
}

// warmBills fetches bills of the current month at night, and answers who is to be told of the lines whose customers are here.
func (p *parts) warmBills(
	c Prefetch, to outside, at stores, bills, kept ports.Bills, customers facts.Service, fresh Fresh,
	flights ports.Flights,
) func(line.Number) {
	customers.KOS, customers.Lane = to.kos.In(quota.Prefetch), quota.Prefetch
	customers.FetchCustomer = fetcher[product.CustomerCopy](p, flights, nil)
	night := &inquiry.Service{
		Holders: p.holders(customers, at, to.kosPool),
		Source:  to.kos.In(quota.Prefetch), Lane: quota.Prefetch, Fetch: fetcher[bill.Copy](p, flights, nil), Bills: bills, Kept: kept,
		Limits: inquiry.DefaultLimits(), Fresh: fresh.Bill, Now: p.Now, NewID: p.NewID,
	}
	return p.warm(&warm.Service{
		Kind: freshness.Bills, Lines: postgres.NewActiveLines(to.kosPool, at.keyring), Active: c.Active, Now: p.Now,
		Open: c.Night.Open, Next: c.Night.Next,
		Fetch: func(ctx context.Context, n line.Number) (time.Time, error) {
			return night.Prefetch(ctx, n, c.Night.Began(p.Now()))
		},
	})
}

func (p *parts) warm(s *warm.Service) func(line.Number) {
	p.worker(string(s.Kind)+"-prefetch", prefetching, s.Step)
	return s.Seen
}
