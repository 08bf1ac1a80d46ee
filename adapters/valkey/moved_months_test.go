package valkey_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/core/sealing"
	"phonebill/ports/portstest"
)

// TestMonthsThatWereMovedAreAMiss: the months of another line are never shown, and raise an alert.
func TestMonthsThatWereMovedAreAMiss(t *testing.T) {
	t.Parallel()
	c := open(t)
	keys := c.vault.(*vault.Vault) //nolint:forcetypeassert // open made it
	var refused []string
	keys.Report(func(at sealing.Place, _ error) { refused = append(refused, at.Name()) })
	months := valkey.NewCachedBillMonths(c.Client, &memory.BillMonths{}, c.vault, vault.BillMonths(c.vault), time.Hour,
		c.log)
	one, two := portstest.MonthsCopies()[0], portstest.MonthsCopies()[1]
	for _, copied := range portstest.MonthsCopies() {
		require.NoError(t, months.Put(t.Context(), copied))
		_, err := months.Latest(t.Context(), copied.Line)
		require.NoError(t, err)
	}
	require.Zero(t, c.count(t, "months", "hit"))
	_, err := months.Latest(t.Context(), one.Line)
	require.NoError(t, err)
	require.Equal(t, 1, c.count(t, "months", "hit"))
	c.move(t, c.monthsKeyOf(one.Line), "m", c.monthsKeyOf(two.Line), "m")
	got, err := months.Latest(t.Context(), two.Line)
	require.NoError(t, err)
	require.Equal(t, two, got, "the store was asked")
	require.Equal(t, []string{"cache.months"}, refused)
}
