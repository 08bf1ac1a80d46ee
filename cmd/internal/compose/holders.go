package compose

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/core/freshness/copies"
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
		Ask: known.FreshCustomer, Stored: known.Customers.Latest, Fresh: known.OfCustomers.Soft,
		Bindings: postgres.NewBindings(kos, at.keyring),
		Alerts:   p.alerts, Vault: at.keyring, Now: p.Now,
	}
}

// ofBills are the customers of the lines whose bills are asked for: one call to KOS for a line while its copy is fresh,
// shared with the product service. A call goes on when its bill's customer has the 202, so that the next attempt finds
// its answer. The customers are not prefetched here.
func (p *parts) ofBills(
	to outside, at stores, fresh Fresh, epochs ports.Epochs, flights ports.Flights, allowances ports.Allowances,
) facts.Service {
	sealed := vault.Customers(at.keyring)
	stored := postgres.NewCustomers(to.kosPool, at.keyring, sealed)
	return facts.Service{
		KOS: to.kos, OfCustomers: fresh.Customer, Now: p.Now,
		Policy:         copies.Policy{Lane: quota.Read, Timeout: backgroundTimeout, Attempts: 1, RefreshAhead: true},
		Customers:      valkey.NewCachedCustomers(at.cache, stored, epochs, at.keyring, sealed, p.Log),
		CustomerCopies: copiesOf[product.CustomerCopy](p, flights, allowances),
		NoteActiveLine: func(line.Number) {},
	}
}
