package billinquiry

import (
	"context"

	"phonebill/adapters/postgres"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/compose/links"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/auth/holder"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/freshness"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/quota"
)

// monthsPurge is how many copies of months are dropped at a time.
const monthsPurge = 1000

// openMonths wires which months the menu offers, and the worker that drops copies that are shown to nobody any more.
// What is asked of KOS for them, the line's customer included, is in the lane of refreshes.
func openMonths(
	b *service.Builder, to *links.Links, at stores.Stores, fresh freshness.Limits, holders *holder.Service,
	customers catalog.Facts,
) *inquiry.Months {
	sealer := vault.BillMonths(at.Keyring)
	stored := postgres.NewBillMonths(to.Pool, at.Keyring, sealer)
	b.Worker("bill-months", stores.ForgetInterval, func(ctx context.Context) (int, error) {
		return stored.Purge(ctx, fresh.Hard, monthsPurge)
	})
	customers.Policy.Lane = quota.Refresh
	customers.CustomerCopies = links.CopiesOf[product.CustomerCopy](to, to.Allowances)
	return &inquiry.Months{
		Source: to.KOS, Fresh: fresh, Flights: to.Flights, Holders: holders, FindHolder: to.Holders(customers).Find,
		Stored: valkey.NewCachedBillMonths(at.Cache, stored, at.Keyring, sealer, fresh.Hard, b.Log),
		Copies: links.CopiesOf[bill.MonthsCopy](to, to.Allowances), Now: b.Now,
	}
}
