package links

import (
	"phonebill/adapters/postgres"
	"phonebill/core/auth/holder"
	"phonebill/core/product/catalog"
)

// Holders returns what compares accounts with the customers that known fetches.
func (l *Links) Holders(known catalog.Facts) *holder.Service {
	return &holder.Service{
		Ask: known.FreshCustomer, Stored: known.Customers.Latest, Fresh: known.OfCustomers.Soft,
		Bindings: postgres.NewBindings(l.Pool, l.at.Keyring),
		Alerts:   l.b.Alerts, Vault: l.at.Keyring, Now: l.b.Now,
	}
}
