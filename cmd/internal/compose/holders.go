package compose

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/core/holder/compare"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/facts"
	"phonebill/core/quota"
	"phonebill/ports"
)

// holders compare accounts with the customers that known fetches.
func (p *parts) holders(known facts.Service, at stores, kos *pgxpool.Pool) *compare.Service {
	return &compare.Service{
		Ask:  known.FreshCustomer,
		Copy: known.Customers.Latest, Fresh: known.OfCustomers.Soft, Bindings: postgres.NewBindings(kos, at.keyring),
		Alerts: p.alerts, Vault: at.keyring, Now: p.Now,
	}
}

// ofBills are the customers of the lines whose bills are asked for: one call of KOS for a line while its copy is fresh,
// shared with the product service. A call goes on when its bill's customer has the 202, so that the next attempt finds
// its answer. A line whose bill is asked for is not kept warm here.
func (p *parts) ofBills(
	to outside, at stores, fresh Fresh, epochs ports.Epochs, flights ports.Flights, allowances ports.Allowances,
) facts.Service {
	sealed := vault.Customers(at.keyring)
	kept := postgres.NewCustomers(to.kosPool, at.keyring, sealed)
	return facts.Service{
		KOS: to.kos, Lane: quota.Read, Renewing: to.kos.In(quota.Refresh), Now: p.Now, Patience: factsBackground, Attempts: 1,
		OfCustomers: fresh.Customer, KeptCustomers: kept,
		Customers:     valkey.NewCachedCustomers(at.cache, kept, epochs, at.keyring, sealed, p.Log),
		FetchCustomer: fetcher[product.CustomerCopy](p, flights, allowances), Seen: func(line.Number) {},
	}
}
