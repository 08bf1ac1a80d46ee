// Package billinquiry wires the bill inquiry service. Begin with New (billinquiry.go).
package billinquiry

import (
	"context"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/billapi"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/links"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/freshness/prefetch"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/quota"
	"phonebill/core/retention/purge"
	"phonebill/core/staff"
	"phonebill/migrations"
	"phonebill/openapi"
)

// customerTimeout is how long KOS may take for the customer of a line. A call goes on when its bill's customer has the
// 202, so that the next attempt finds its result.
const customerTimeout = 10 * time.Second

// New wires the service.
func New(ctx context.Context, c Config, t service.Tools) (*boot.Unit, error) {
	b := service.Begin(service.Bill, service.Listen{
		Addr: c.Addr, Internal: c.Internal, Trusted: c.Peers.Trusted, Draining: c.Draining,
	}, t)
	if err := b.UseIdentity(c.Identity); err != nil {
		return b.Fail(err)
	}
	at, err := stores.Open(ctx, b, c.Stores, c.DatabaseURL, migrations.Bill)
	if err != nil {
		return b.Fail(err)
	}
	to, err := links.Open(ctx, b, c.Links, at)
	if err != nil {
		return b.Fail(err)
	}
	fresh := c.Links.KOS.Copies

	// Copies of bills, and of the customers that accounts are compared with: one call of KOS for a line while its copy
	// is fresh, shared with the product service.
	sealedBills, sealedCustomers := vault.Bills(at.Keyring), vault.Customers(at.Keyring)
	bills := valkey.NewCachedBills(at.Cache, postgres.NewBills(at.Pool, at.Keyring, sealedBills, to.Epochs), to.Epochs,
		at.Keyring, sealedBills, b.Log)
	storedCustomers := postgres.NewCustomers(to.Pool, at.Keyring, sealedCustomers)
	customers := catalog.Facts{
		KOS: to.KOS, OfCustomers: fresh.Customer, Now: b.Now,
		Policy:         copies.Policy{Lane: quota.Read, Timeout: customerTimeout, Attempts: 1, RefreshAhead: true},
		Customers:      valkey.NewCachedCustomers(at.Cache, storedCustomers, to.Epochs, at.Keyring, sealedCustomers, b.Log),
		CustomerCopies: links.CopiesOf[product.CustomerCopy](to, to.Allowances),
		NoteActiveLine: func(line.Number) {}, // the bill alone is prefetched here
	}

	// Inquiries, and the workers that carry them on.
	history, err := openHistory(ctx, b, c.History, c.Stores, at)
	if err != nil {
		return b.Fail(err)
	}
	keys := postgres.NewIdempotencyKeys(at.Pool, migrations.Bill, at.Keyring)
	inquiries := &inquiry.Service{
		Source: to.KOS, Lane: quota.Read, Bills: bills,
		Copies: links.CopiesOf[bill.Copy](to, to.Allowances), Holders: to.Holders(customers),
		Inquiries: history, Keys: keys, Limits: inquiry.DefaultLimits(), Fresh: fresh.Bill,
		Now: b.Now, NewID: b.NewID, Report: b.Report,
	}
	inquiries.Months = openMonths(b, to, at, fresh.BillMonths, inquiries.Holders, customers)
	inquiries.NoteActiveLine = prefetchBills(b, to, at, c.Links.KOS.Prefetch, inquiries, customers)
	b.WorkOn(service.Inquiries(), inquiries.Step)
	b.DrainOnStop(inquiries.Wait)

	// Results for the MVNO AP server.
	outbox := postgres.NewBillOutbox(at.Pool, at.Keyring, sealedBills)
	links.Deliver(b, "bill-deliveries", outbox, to.AP.BillResults())

	// What staff and operators see.
	b.Internal.Token, b.Internal.Deliveries = c.Auth.Token, outbox
	b.Internal.Timelines = postgres.NewBillTimelines(at.Pool, to.Pool, at.Keyring)
	b.Internal.Requests, b.Internal.RequestKind = postgres.NewInquiryRequests(at.Pool, at.Keyring), staff.Inquiry
	at.ReportBacklog(b, postgres.BillBacklog)
	to.ReportStatus(
		links.Lookups{Kind: freshness.Bills, Tally: &inquiries.Copies.Tally},
		links.Lookups{Kind: freshness.Months, Tally: &inquiries.Months.Copies.Tally},
	)

	// What is dropped when its time is over.
	stores.ForgetKeys(b, "inquiry-keys", keys.Forget)
	stores.Retain(b,
		purge.History{Name: "inquiries", Years: purge.Inquiries, Purge: postgres.PurgeInquiries(at.Pool)},
		purge.History{Name: "bills", Years: purge.Bills, Purge: postgres.PurgeBills(at.Pool)},
		purge.History{Name: "kos calls", Years: purge.KOSCalls, Purge: postgres.PurgeCalls(to.Pool)},
	)

	guard, err := b.GuardByAuth(c.Auth, at.Cache)
	if err != nil {
		return b.Fail(err)
	}
	return b.Finish(openapi.Bill, (&billapi.Handlers{Inquiries: inquiries, Now: b.Now}).Mount, guard)
}

// prefetchBills adds the worker that fetches bills of the current month at night, and returns the function
// that notes active lines. like has the stores.
func prefetchBills(
	b *service.Builder, to *links.Links, at stores.Stores, c links.Prefetch, like *inquiry.Service,
	customers catalog.Facts,
) (noteActive func(line.Number)) {
	customers.Policy.Lane = quota.Prefetch
	customers.CustomerCopies = links.CopiesOf[product.CustomerCopy](to, nil)
	night := &inquiry.Service{
		Source: to.KOS, Lane: quota.Prefetch, Copies: links.CopiesOf[bill.Copy](to, nil),
		Holders: to.Holders(customers), Bills: like.Bills, Limits: like.Limits, Fresh: like.Fresh,
		Now: b.Now, NewID: b.NewID,
	}
	return to.Prefetch(&prefetch.Service{
		Kind: freshness.Bills, Lines: postgres.NewActiveLines(to.Pool, at.Keyring), Active: c.Active, Now: b.Now,
		Open: c.Night.Open, Next: c.Night.Next,
		Fetch: func(ctx context.Context, n line.Number) (time.Time, error) {
			return night.Prefetch(ctx, n, c.Night.Began(b.Now()))
		},
	})
}
