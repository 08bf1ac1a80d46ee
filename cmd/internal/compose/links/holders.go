package links

import (
	"phonebill/adapters/postgres"
	"phonebill/core/holder/compare"
	"phonebill/core/product/facts"
)

// Holders returns what compares accounts with the customers that known fetches.
func (l *Links) Holders(known facts.Service) *compare.Service {
	return &compare.Service{
		Ask: known.FreshCustomer, Stored: known.Customers.Latest, Fresh: known.OfCustomers.Soft,
		Bindings: postgres.NewBindings(l.Pool, l.at.Keyring),
		Alerts:   l.b.Alerts, Vault: l.at.Keyring, Now: l.b.Now,
	}
}
