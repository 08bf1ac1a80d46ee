package compose

import (
	"context"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/boot"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/freshness/prefetch"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/facts"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Prefetch configures what is fetched before it is asked for.
type Prefetch struct {
	Active time.Duration   // copies of lines whose customers were active within it are kept fresh
	Night  freshness.Night // when their bills are fetched
}

// ReadPrefetch reads PREFETCH_ACTIVE (168h) and PREFETCH_NIGHT, times of day in Seoul like 02:00-05:00, or "off".
func ReadPrefetch(r *boot.Reader, night string) Prefetch {
	return Prefetch{
		Active: r.Duration("PREFETCH_ACTIVE", 7*24*time.Hour), Night: boot.Parsed(r, "PREFETCH_NIGHT", night, freshness.ParseNight),
	}
}

const (
	prefetchInterval = 5 * time.Second // between two looks at what is due
	ahead            = 12              // of its soft lifetime, that part before its end a copy is fetched
)

// prefetchCustomers keeps the copies of customers fresh, and returns the function that notes active lines. like has the
// stores.
func (p *parts) prefetchCustomers(
	c Prefetch, to outside, at stores, like facts.Service, flights ports.Flights,
) func(line.Number) {
	like.Policy = copies.Policy{Lane: quota.Prefetch, Timeout: factsTimeout, Attempts: 1}
	like.OfCustomers = like.OfCustomers.Ahead(like.OfCustomers.Soft / ahead)
	like.CustomerCopies = copiesOf[product.CustomerCopy](p, flights, nil) // with a tally of its own
	return p.prefetch(&prefetch.Service{
		Kind: freshness.Customers, Lines: postgres.NewActiveLines(to.kosPool, at.keyring), Active: c.Active, Now: p.Now,
		Open: func(time.Time) bool { return true }, Fetch: like.Prefetch,
		Next: func(told time.Time) time.Time { return told.Add(like.OfCustomers.Soft) },
	})
}

// prefetchPlans keeps the copy of the plan list fresh, from the start.
func (p *parts) prefetchPlans(like facts.Service, flights ports.Flights) {
	like.Policy.Lane, like.Policy.Attempts, like.Policy.MaxWait = quota.Refresh, 1, 0
	like.OfPlans = like.OfPlans.Ahead(like.OfPlans.Soft / ahead)
	like.PlanCopies = copiesOf[product.PlansCopy](p, flights, nil)
	p.worker("plans-prefetch", prefetchInterval, func(ctx context.Context) (int, error) {
		_, _, _ = like.PlanList(ctx, ports.Call{}) // an error is tried again, and reaches those who ask
		return 0, nil
	})
}

// prefetchBills fetches bills of the current month at night, and returns the function that notes active lines.
func (p *parts) prefetchBills(
	c Prefetch, to outside, at stores, bills ports.Bills, customers facts.Service, fresh Fresh, flights ports.Flights,
) func(line.Number) {
	customers.Policy.Lane = quota.Prefetch
	customers.CustomerCopies = copiesOf[product.CustomerCopy](p, flights, nil)
	night := &inquiry.Service{
		Holders: p.holders(customers, at, to.kosPool),
		Source:  to.kos, Lane: quota.Prefetch, Copies: copiesOf[bill.Copy](p, flights, nil), Bills: bills,
		Limits: inquiry.DefaultLimits(), Fresh: fresh.Bill, Now: p.Now, NewID: p.NewID,
	}
	return p.prefetch(&prefetch.Service{
		Kind: freshness.Bills, Lines: postgres.NewActiveLines(to.kosPool, at.keyring), Active: c.Active, Now: p.Now,
		Open: c.Night.Open, Next: c.Night.Next,
		Fetch: func(ctx context.Context, n line.Number) (time.Time, error) {
			return night.Prefetch(ctx, n, c.Night.Began(p.Now()))
		},
	})
}

func (p *parts) prefetch(s *prefetch.Service) func(line.Number) {
	p.worker(string(s.Kind)+"-prefetch", prefetchInterval, s.Step)
	return s.NoteActive
}
