package compose

import (
	"context"

	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/billapi"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/freshness"
	"phonebill/core/quota"
	"phonebill/core/retention"
	"phonebill/core/retention/purge"
	"phonebill/core/staff"
	"phonebill/migrations"
	"phonebill/openapi"
)

// Bill wires the bill inquiry service.
func Bill(ctx context.Context, c BillConfig, t Tools) (*boot.Unit, error) {
	p := begin(billService, c.Listen, t)
	at, err := p.stores(ctx, c.Data, migrations.Bill)
	if err != nil {
		return p.failed(err)
	}
	to, err := p.outside(ctx, c.KOS, c.AP, at.keyring)
	if err != nil {
		return p.failed(err)
	}

	sealed := vault.Bills(at.keyring)
	epochs := p.epochs(at.cache, to.kosPool, at.keyring)
	bills := valkey.NewCachedBills(
		at.cache, postgres.NewBills(at.pool, at.keyring, sealed, epochs), epochs, at.keyring, sealed, p.Log)
	flights := p.sharedFlights(at, to.kosPool)
	allowances := p.allowances(at, to.kosPool, c.KOS.PerCustomer)
	customers := p.ofBills(to, at, c.KOS.Fresh, epochs, flights, allowances)
	history, err := p.inquiries(ctx, c.History, c.Data, at)
	if err != nil {
		return p.failed(err)
	}
	keys := postgres.NewIdempotencyKeys(at.pool, migrations.Bill, at.keyring)
	p.forget("inquiry-keys", keys.Forget)
	inquiries := &inquiry.Service{
		Source: to.kos, Lane: quota.Read, Bills: bills,
		Copies: copiesOf[bill.Copy](p, flights, allowances), Holders: p.holders(customers, at, to.kosPool),
		Inquiries: history, Keys: keys, Limits: inquiry.DefaultLimits(), Fresh: c.KOS.Fresh.Bill,
		Now: p.Now, NewID: p.NewID, Report: p.report,
		NoteActiveLine: p.prefetchBills(c.KOS.Prefetch, to, at, bills, customers, c.KOS.Fresh, flights),
	}
	p.workOnInquiries(inquiries.Step)
	outbox := postgres.NewBillOutbox(at.pool, at.keyring, sealed)
	deliver(p, "bill-deliveries", outbox, to.ap.BillResults())
	p.internal.Token, p.internal.Deliveries = c.Auth.Token, outbox
	p.internal.Timelines = postgres.NewBillTimelines(at.pool, to.kosPool, at.keyring)
	p.internal.Requests, p.internal.RequestKind = postgres.NewInquiryRequests(at.pool, at.keyring), staff.Inquiry
	p.waiting(at.pool, postgres.BillBacklog)
	p.drain(inquiries.Wait)
	p.retain(
		purge.History{Name: "inquiries", Years: retention.Inquiries, Purge: postgres.PurgeInquiries(at.pool)},
		purge.History{Name: "bills", Years: retention.Bills, Purge: postgres.PurgeBills(at.pool)},
		purge.History{Name: "kos calls", Years: retention.KOSCalls, Purge: postgres.PurgeCalls(to.kosPool)},
	)
	p.watch(to.watched(tallied{freshness.Bills, &inquiries.Copies.Tally}))
	guard, err := p.guardBy(c.Auth, at.cache)
	if err != nil {
		return p.failed(err)
	}
	return p.serve(openapi.Bill, (&billapi.Handlers{Inquiries: inquiries, Now: p.Now}).Mount, guard)
}
