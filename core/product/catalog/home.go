package catalog

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/ports"
)

// HomeLine is one of the caller's lines, with what is known of it without asking KOS.
type HomeLine struct {
	Line   line.Number
	Screen *Screen // nil when nothing is known, or when the last good copy is not of the account's customer
}

// Home returns the caller's lines for the main screen. It never waits for KOS, and a copy store that fails counts as
// empty: a line is shown in any case.
func (s *Service) Home(ctx context.Context, p auth.Principal) []HomeLine {
	plans := s.Facts.knownPlans(ctx)
	out := make([]HomeLine, len(p.Lines))
	for i, n := range p.Lines {
		out[i] = HomeLine{Line: n}
		known, source, ok := s.Facts.knownCustomer(ctx, n)
		if !ok || s.Holders.Check(ctx, account(p), n, known.Customer.CustomerID) != nil {
			continue
		}
		screen := newScreen(known.Customer, plans, source, known.AsOf)
		out[i].Screen = &screen
	}
	return out
}

// newScreen returns what is shown of a customer, with plans as the list names them.
func newScreen(c product.Customer, plans product.PlansCopy, source freshness.Source, asOf time.Time) Screen {
	screen := Screen{Customer: c, Current: plans.Named(c.PlanCode, c.Plan), Source: source, AsOf: asOf}
	if next := c.Scheduled; next != nil {
		plan := plans.Named(next.PlanCode, next.Plan)
		screen.Scheduled = &plan
	}
	return screen
}

// knownCustomer returns the stored copy of the line's customer if it may be shown, be it stale; KOS is not asked.
func (s *Facts) knownCustomer(ctx context.Context, n line.Number) (product.CustomerCopy, freshness.Source, bool) {
	got, ok := s.CustomerCopies.GetStored(ctx, s.customerQuery(ports.Call{}, n, s.OfStatus))
	return got.Value, got.Source, ok
}

// knownPlans returns the stored plan list if it may be shown; else an empty one. KOS is not asked.
func (s *Facts) knownPlans(ctx context.Context) product.PlansCopy {
	got, _ := s.PlanCopies.GetStored(ctx, s.plansQuery(ports.Call{}, s.OfPlans))
	return got.Value
}
