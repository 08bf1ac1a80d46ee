package compose

import (
	"context"

	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/billapi"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/core/bill/inquiry"
)

// inFlight is how many unfinished inquiries or orders one instance works on at a time: about as many calls as KOS bears.
const inFlight = 4

// Bill wires the bill inquiry service.
func Bill(ctx context.Context, c BillConfig, t Tools) (*boot.Unit, error) {
	p := begin("bill-inquiry", c.Listen, t)
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

	sealed := vault.Bills(keyring)
	epochs := valkey.NewCachedEpochs(cache, postgres.NewEpochs(kosPool, keyring), keyring, p.Log)
	bills := valkey.NewCachedBills(cache, postgres.NewBills(pool, keyring, sealed, epochs), keyring, sealed, p.Log)
	inquiries := &inquiry.Service{
		Source: source, Bills: bills, Inquiries: postgres.NewInquiries(pool, keyring), Limits: inquiry.DefaultLimits(),
		Now: p.Now, NewID: p.NewID,
	}
	p.worker("inquiries", idle, func(ctx context.Context) (int, error) { return inquiries.Step(ctx, inFlight) })
	deliver(p, "bill-deliveries", postgres.NewBillOutbox(pool, keyring, sealed), server.BillResults())
	p.unit.Drain = inquiries.Wait
	return p.serve(billapi.Spec, (&billapi.Handlers{Inquiries: inquiries, Now: p.Now}).Mount, p.guardBy(c.Auth))
}
