package valkey_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/core/money"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/sealing"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// before seals customers as the previous release did: with a fee of 0 won where KOS had left it out.
type before struct {
	ports.Sealer[product.CustomerCopy]
	vault ports.Vault
}

func (b before) Seal(_ sealing.Place, c product.CustomerCopy) ([]byte, error) {
	sealed, err := b.vault.Seal(sealing.At("customer"), fmt.Appendf(nil,
		`{"asOf":%q,"customerId":"C","line":%q,"name":"","operator":"O",
		"status":"ACTIVE","plan":"P","contractDate":"","termEnd":"","fee":0}`, c.AsOf.Format(time.RFC3339Nano),
		c.Customer.Line.Digits()))
	return append([]byte{1}, sealed...), err
}

// TestEntriesOfPreviousRelease: they are read but doubtful, and so is what this release caches of such a copy. The
// previous release reads what this one caches.
func TestEntriesOfPreviousRelease(t *testing.T) {
	t.Parallel()
	c := open(t)
	epochs, store := valkey.NewCachedEpochs(c.Client, &memory.Epochs{}, c.vault, c.log), &memory.Customers{}
	now := vault.Customers(c.vault)
	of := func(s ports.Sealer[product.CustomerCopy]) ports.Customers {
		return valkey.NewCachedCustomers(c.Client, store, epochs, c.vault, s, c.log)
	}
	then := of(before{now, c.vault})
	stored := product.CustomerCopy{
		Customer: product.Customer{Line: portstest.Line(1), Name: personal.NewName(""), LineStatus: product.LineActive},
		AsOf:     time.Now().UTC(),
	}
	stored.Customer.Contract.EarlyTerminationFee = new(money.Won(0))
	require.NoError(t, then.Put(t.Context(), stored))
	_, err := then.Latest(t.Context(), stored.Customer.Line) // it is cached now
	require.NoError(t, err)
	held, err := of(now).Latest(t.Context(), stored.Customer.Line)
	require.NoError(t, err)
	require.True(t, held.Doubtful)
	require.Nil(t, held.Customer.Contract.EarlyTerminationFee)

	require.NoError(t, store.Put(t.Context(),
		product.CustomerCopy{Customer: stored.Customer, AsOf: stored.AsOf.Add(time.Second), Doubtful: true}))
	require.NoError(t, epochs.Raise(t.Context(), stored.Customer.Line, stored.AsOf)) // drops it from the cache
	for range 2 {                                                                    // from the store, then from the cache
		held, err = of(now).Latest(t.Context(), stored.Customer.Line)
		require.NoError(t, err)
		require.True(t, held.Doubtful)
	}
}
