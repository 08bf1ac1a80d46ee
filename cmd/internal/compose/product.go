package compose

import (
	"context"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/productapi"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/product/change"
	"phonebill/core/product/facts"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/core/retention"
	"phonebill/core/retention/purge"
	"phonebill/core/staff"
	"phonebill/core/staff/cases"
	"phonebill/migrations"
	"phonebill/openapi"
)

// How long a customer waits for one fact, how often KOS is asked meanwhile, and how long in the background. A
// question of a screen or a check goes on when its customer's time is over, so that the next try has the answer.
const (
	factsTimeout      = request.AnswerBudget
	factsAttempts     = 3
	backgroundTimeout = 10 * time.Second
)

// Product wires the product change service.
func Product(ctx context.Context, c ProductConfig, t Tools) (*boot.Unit, error) {
	p := begin(productService, c.Listen, t)
	at, err := p.stores(ctx, c.Data, migrations.Product)
	if err != nil {
		return p.failed(err)
	}
	to, err := p.outside(ctx, c.KOS, c.AP, at.keyring)
	if err != nil {
		return p.failed(err)
	}

	customer, plans := vault.Customers(at.keyring), vault.Plans(at.keyring)
	customers, lists := postgres.NewCustomers(to.kosPool, at.keyring, customer), postgres.NewPlans(to.kosPool, plans)
	epochs := p.epochs(at.cache, to.kosPool, at.keyring)
	flights := p.sharedFlights(at, to.kosPool)
	allowances := p.allowances(at, to.kosPool, c.KOS.PerCustomer)
	forPreview := &facts.Service{
		KOS: to.kos, Now: p.Now,
		Policy: copies.Policy{
			Lane: quota.Read, Timeout: backgroundTimeout, MaxWait: factsTimeout, Attempts: factsAttempts, RefreshAhead: true,
		},
		OfCustomers: c.KOS.Fresh.Customer, OfStatus: c.KOS.Fresh.Status, OfPlans: c.KOS.Fresh.Plans,
		Customers:      valkey.NewCachedCustomers(at.cache, customers, epochs, at.keyring, customer, p.Log),
		Plans:          valkey.NewCachedPlans(at.cache, lists, plans, p.Log),
		CustomerCopies: copiesOf[product.CustomerCopy](p, flights, allowances),
		PlanCopies:     copiesOf[product.PlansCopy](p, flights, allowances),
	}
	forPreview.NoteActiveLine = p.prefetchCustomers(c.KOS.Prefetch, to, at, *forPreview, flights)
	p.prefetchPlans(*forPreview, flights)
	forOrder := *forPreview
	forOrder.Policy.Lane = quota.Change
	forOrder.Policy.Timeout, forOrder.Policy.MaxWait = factsTimeout, 0 // an order goes on by itself, with facts of its own
	inBackground := forOrder
	inBackground.Policy.Timeout, inBackground.Policy.Attempts = backgroundTimeout, 1 // the order itself is tried again
	orders := postgres.OpenOrders(at.pool, at.keyring, p.alerts)
	p.forget("order-keys", postgres.NewIdempotencyKeys(at.pool, migrations.Product, at.keyring).Forget)
	holders := p.holders(*forPreview, at, to.kosPool)
	changes := &change.Service{
		Holders:         holders,
		FactsForPreview: forPreview, FactsForOrder: &forOrder, FactsInBackground: &inBackground,
		KOS: to.kos, Orders: orders, Epochs: epochs, Policy: c.Policy, Allowances: allowances,
		Limits: change.DefaultLimits(), Now: p.Now, NewID: p.NewID, Report: p.report,
	}
	changes.Parked = change.AlertParked(p.alerts)
	p.workOnOrders(changes.Step)
	outbox := postgres.NewChangeOutbox(at.pool, at.keyring)
	deliver(p, "change-deliveries", outbox, to.ap.ChangeResults())
	p.internal.Token, p.internal.Deliveries = c.Auth.Token, outbox
	p.internal.Timelines = postgres.NewChangeTimelines(at.pool, to.kosPool, at.keyring)
	p.internal.RequestKind, p.internal.Requests = staff.Change, cases.OwnRequests{
		RequestList: postgres.NewOrderList(at.pool, at.keyring), TakeBack: changes.CancelByStaff,
	}
	p.internal.ParkedChanges = &change.ParkedOrders{
		Orders: postgres.NewParkedOrders(at.pool, at.keyring), Epochs: epochs, Now: p.Now,
	}
	p.tellCustomers(at)
	p.waiting(at.pool, postgres.ChangeBacklog)
	p.compareBooks(c.Books, to, at)
	p.retain(purge.History{Name: "changes", Years: retention.Changes, Purge: postgres.PurgeChanges(at.pool)}, bookRetention(at))
	p.drain(changes.Wait)
	handlers := &productapi.Handlers{
		Catalog: &catalog.Service{Facts: forPreview, Holders: holders}, Changes: changes, Now: p.Now,
	}
	p.watch(to.watched(
		tallied{freshness.Customers, &forPreview.CustomerCopies.Tally},
		tallied{freshness.Plans, &forPreview.PlanCopies.Tally}))
	guard, err := p.guardBy(c.Auth, at.cache)
	if err != nil {
		return p.failed(err)
	}
	return p.serve(openapi.Product, handlers.Mount, guard)
}
