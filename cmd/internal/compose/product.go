package compose

import (
	"context"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/productapi"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/core/product/catalog"
	"phonebill/core/product/change"
	"phonebill/core/product/facts"
	"phonebill/core/quota"
)

// How long one KOS call for facts may take while a customer waits, and when nobody does (product.md).
const (
	factsCall       = 2700 * time.Millisecond
	factsBackground = 10 * time.Second
)

// Product wires the product change service.
func Product(ctx context.Context, c ProductConfig, t Tools) (*boot.Unit, error) {
	p := begin(productService, c.Listen, t)
	at, err := p.stores(ctx, c.Data)
	if err != nil {
		return p.failed(err)
	}
	to, err := p.outside(ctx, c.KOS, c.AP, at.keyring)
	if err != nil {
		return p.failed(err)
	}

	customer, plans := vault.Customers(at.keyring), vault.Plans(at.keyring)
	waited := &facts.Service{
		KOSCustomers: to.kos, KOSPlans: to.kos, Now: p.Now, Call: factsCall,
		Customers: valkey.NewCachedCustomers(at.cache, postgres.NewCustomers(to.kosPool, at.keyring, customer), at.keyring, customer, p.Log),
		Plans:     valkey.NewCachedPlans(at.cache, postgres.NewPlans(to.kosPool, plans), plans, p.Log),
	}
	forChange := *waited
	forChange.KOSCustomers, forChange.KOSPlans = to.kos.In(quota.Change), to.kos.In(quota.Change)
	unhurried := forChange
	unhurried.Call = factsBackground
	changes := &change.Service{
		Facts: &forChange, Unhurried: &unhurried, KOS: to.kos, Orders: postgres.NewOrders(at.pool, at.keyring),
		Epochs: valkey.NewCachedEpochs(at.cache, postgres.NewEpochs(to.kosPool, at.keyring), at.keyring, p.Log),
		Limits: change.DefaultLimits(), Now: p.Now, NewID: p.NewID, Report: p.report,
	}
	p.worker("orders", idle, func(ctx context.Context) (int, error) { return changes.Step(ctx, inFlight) })
	deliver(p, "change-deliveries", postgres.NewChangeOutbox(at.pool, at.keyring), to.ap.ChangeResults())
	p.unit.Drain = changes.Wait
	handlers := &productapi.Handlers{Catalog: &catalog.Service{Facts: waited}, Changes: changes, Now: p.Now}
	p.watch(c.Auth.Token, to.watched())
	guard, err := p.guardBy(c.Auth, at.cache)
	if err != nil {
		return p.failed(err)
	}
	return p.serve(productapi.Spec, handlers.Mount, guard)
}
