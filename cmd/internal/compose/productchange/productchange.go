// Package productchange wires the product change service. Begin with New (productchange.go).
package productchange

import (
	"context"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/productapi"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/links"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/freshness/prefetch"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/product/change"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/core/retention/purge"
	"phonebill/core/staff"
	"phonebill/core/staff/cases"
	"phonebill/migrations"
	"phonebill/openapi"
	"phonebill/ports"
)

// How long a customer waits for one fact, how often KOS is asked meanwhile, and how long in the background. A call for
// a screen or a check goes on when its customer's time is over, so that the next try has the result.
const (
	factTimeout           = request.AnswerBudget
	factAttempts          = 3
	backgroundFactTimeout = 10 * time.Second
)

// New wires the service.
func New(ctx context.Context, c Config, t service.Tools) (*boot.Unit, error) {
	b := service.Begin(service.Product, service.Listen{
		Addr: c.Addr, Internal: c.Internal, Trusted: c.Peers.Trusted, Draining: c.Draining,
	}, t)
	if err := b.UseIdentity(c.Identity); err != nil {
		return b.Fail(err)
	}
	at, err := stores.Open(ctx, b, c.Stores, c.DatabaseURL, migrations.Product)
	if err != nil {
		return b.Fail(err)
	}
	to, err := links.Open(ctx, b, c.Links, at)
	if err != nil {
		return b.Fail(err)
	}

	// Facts from KOS: for screens and checks, for an order that a customer waits for, for an order in the background.
	fresh := c.Links.KOS.Copies
	sealedCustomers, sealedPlans := vault.Customers(at.Keyring), vault.Plans(at.Keyring)
	storedCustomers := postgres.NewCustomers(to.Pool, at.Keyring, sealedCustomers)
	storedPlans := postgres.NewPlans(to.Pool, sealedPlans)
	preview := &catalog.Facts{
		KOS: to.KOS, Now: b.Now,
		Policy: copies.Policy{
			Lane: quota.Read, Timeout: backgroundFactTimeout, MaxWait: factTimeout, Attempts: factAttempts, RefreshAhead: true,
		},
		OfCustomers: fresh.Customer, OfStatus: fresh.Status, OfPlans: fresh.Plans,
		Customers: valkey.NewCachedCustomers(at.Cache, storedCustomers, to.Epochs, at.Keyring, sealedCustomers, b.Log),
		Plans:     valkey.NewCachedPlans(at.Cache, storedPlans, sealedPlans, b.Log),

		CustomerCopies: links.CopiesOf[product.CustomerCopy](to, to.Allowances),
		PlanCopies:     links.CopiesOf[product.PlansCopy](to, to.Allowances),
	}
	preview.NoteActiveLine = prefetchCustomers(b, to, at, c.Links.KOS.Prefetch, *preview)
	prefetchPlans(b, to, *preview)
	forOrder := *preview
	forOrder.Policy.Lane = quota.Change
	forOrder.Policy.Timeout, forOrder.Policy.MaxWait = factTimeout, 0 // an order goes on by itself, with facts of its own
	inBackground := forOrder
	inBackground.Policy.Timeout, inBackground.Policy.Attempts = backgroundFactTimeout, 1 // the order itself is tried again

	// Orders, and the workers that carry them on.
	policy, err := c.Rules.policy()
	if err != nil {
		return b.Fail(err)
	}
	holders := to.Holders(*preview)
	changes := &change.Service{
		Holders: holders, FactsForPreview: preview, FactsForOrder: &forOrder, FactsInBackground: &inBackground, KOS: to.KOS,
		Orders: postgres.OpenOrders(at.Pool, at.Keyring, b.Alerts), Epochs: to.Epochs, Policy: policy,
		Allowances: to.Allowances, Limits: change.DefaultLimits(), Parked: change.AlertParked(b.Alerts),
		Now: b.Now, NewID: b.NewID, Report: b.Report,
	}
	b.WorkOn(service.Orders(), changes.Step)
	b.DrainOnStop(changes.Wait)
	b.Internal.ParkedChanges = &change.ParkedOrders{
		Orders: postgres.NewParkedOrders(at.Pool, at.Keyring), Epochs: to.Epochs, Now: b.Now,
	}

	// Results for the MVNO AP server and for customers, and their comparison with our orders and KOS.
	outbox := postgres.NewChangeOutbox(at.Pool, at.Keyring)
	links.Deliver(b, "change-deliveries", outbox, to.AP.ChangeResults())
	notifyCustomers(b, at)
	b.Internal.Reconciliations = reconcile(b, to, at, c.Reconciliation)

	// What staff and operators see.
	b.Internal.Token, b.Internal.Deliveries = c.Auth.Token, outbox
	b.Internal.Timelines = postgres.NewChangeTimelines(at.Pool, to.Pool, at.Keyring)
	b.Internal.RequestKind, b.Internal.Requests = staff.Change, cases.OwnRequests{
		RequestList: postgres.NewOrderList(at.Pool, at.Keyring), TakeBack: changes.CancelByStaff,
	}
	at.ReportBacklog(b, postgres.ChangeBacklog)
	to.ReportStatus(
		links.Lookups{Kind: freshness.Customers, Tally: &preview.CustomerCopies.Tally},
		links.Lookups{Kind: freshness.Plans, Tally: &preview.PlanCopies.Tally})

	// What is dropped when its time is over: reports are kept as long as the orders that they are about.
	stores.ForgetKeys(b, "order-keys", postgres.NewIdempotencyKeys(at.Pool, migrations.Product, at.Keyring).Forget)
	stores.Retain(b,
		purge.History{Name: "changes", Years: purge.Changes, Purge: postgres.PurgeChanges(at.Pool)},
		purge.History{Name: "books", Years: purge.Changes, Purge: postgres.PurgeReconciliationRuns(at.Pool)})

	guard, err := b.GuardByAuth(c.Auth, at.Cache)
	if err != nil {
		return b.Fail(err)
	}
	handlers := &productapi.Handlers{
		Catalog: &catalog.Service{Facts: preview, Holders: holders}, Changes: changes, Now: b.Now,
	}
	return b.Finish(openapi.Product, handlers.Mount, guard)
}

// prefetchCustomers adds the worker that fetches customers before their copies are old, and returns the
// function that notes active lines. like has the stores.
func prefetchCustomers(
	b *service.Builder, to *links.Links, at stores.Stores, c links.Prefetch, like catalog.Facts,
) (noteActive func(line.Number)) {
	like.Policy = copies.Policy{Lane: quota.Prefetch, Timeout: factTimeout, Attempts: 1}
	like.OfCustomers = like.OfCustomers.Ahead(like.OfCustomers.Soft / links.PrefetchShare)
	like.CustomerCopies = links.CopiesOf[product.CustomerCopy](to, nil) // its tally is not that of customers' lookups
	return to.Prefetch(&prefetch.Service{
		Kind: freshness.Customers, Lines: postgres.NewActiveLines(to.Pool, at.Keyring), Active: c.Active, Now: b.Now,
		Open: func(time.Time) bool { return true }, Fetch: like.Prefetch,
		Next: func(fetched time.Time) time.Time { return fetched.Add(like.OfCustomers.Soft) },
	})
}

// prefetchPlans adds the worker that fetches the plan list before its copy is old, from the start.
func prefetchPlans(b *service.Builder, to *links.Links, like catalog.Facts) {
	like.Policy.Lane, like.Policy.Attempts, like.Policy.MaxWait = quota.Refresh, 1, 0
	like.OfPlans = like.OfPlans.Ahead(like.OfPlans.Soft / links.PrefetchShare)
	like.PlanCopies = links.CopiesOf[product.PlansCopy](to, nil)
	b.Worker("plans-prefetch", links.PrefetchInterval, func(ctx context.Context) (int, error) {
		_, _, _ = like.PlanList(ctx, ports.Call{}) // the next step tries again, and requests report the error
		return 0, nil
	})
}
