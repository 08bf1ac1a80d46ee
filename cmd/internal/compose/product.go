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
)

// How long one KOS call for facts may take while a customer waits, and when nobody does (product.md).
const (
	factsCall       = 2700 * time.Millisecond
	factsBackground = 10 * time.Second
)

// Product wires the product change service.
func Product(ctx context.Context, c ProductConfig, t Tools) (*boot.Unit, error) {
	p := begin("product-change", c.Listen, t)
	pool, err := p.pool(ctx, "database", c.DatabaseURL, c.PoolSize)
	if err != nil {
		return p.failed(err)
	}
	keyring, err := p.vault(c.Data)
	if err != nil {
		return p.failed(err)
	}
	cache, err := p.cache(ctx, c.Cache)
	if err != nil {
		return p.failed(err)
	}
	source, kosPool, err := p.kos(ctx, c.KOS, keyring)
	if err != nil {
		return p.failed(err)
	}
	server, err := p.ap(c.AP)
	if err != nil {
		return p.failed(err)
	}

	customer, plans := vault.Customers(keyring), vault.Plans(keyring)
	waited := &facts.Service{
		KOSCustomers: source, KOSPlans: source, Now: p.Now, Call: factsCall,
		Customers: valkey.NewCachedCustomers(cache, postgres.NewCustomers(kosPool, keyring, customer), keyring, customer, p.Log),
		Plans:     valkey.NewCachedPlans(cache, postgres.NewPlans(kosPool, plans), plans, p.Log),
	}
	unhurried := *waited
	unhurried.Call = factsBackground
	changes := &change.Service{
		Facts: waited, Unhurried: &unhurried, KOS: source, Orders: postgres.NewOrders(pool, keyring),
		Epochs: valkey.NewCachedEpochs(cache, postgres.NewEpochs(kosPool, keyring), keyring, p.Log),
		Limits: change.DefaultLimits(), Now: p.Now, NewID: p.NewID,
	}
	p.worker("orders", idle, func(ctx context.Context) (int, error) { return changes.Step(ctx, inFlight) })
	deliver(p, "change-deliveries", postgres.NewChangeOutbox(pool, keyring), server.ChangeResults())
	p.unit.Drain = changes.Wait
	handlers := &productapi.Handlers{Catalog: &catalog.Service{Facts: waited}, Changes: changes, Now: p.Now}
	return p.serve(productapi.Spec, handlers.Mount, p.guardBy(c.Auth))
}
