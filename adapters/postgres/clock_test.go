package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/freshness"
	"phonebill/core/product"
	"phonebill/migrations"
	"phonebill/ports/portstest"
)

func wrong(by time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(by) } }

// TestInstancesWithWrongClocksHaveOneTime: a copy asked for before a change is hidden by it, one asked for after it is
// not, whatever the clocks of the machines.
func TestInstancesWithWrongClocksHaveOneTime(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.KOS)
	asking, changing := postgres.NewClock(db.Pool, wrong(2*time.Second)), postgres.NewClock(db.Pool, wrong(-3*time.Second))
	require.Greater(t, asking.Now().Sub(changing.Now()), 4*time.Second, "before they ask, each believes its machine")
	for _, c := range []*postgres.Clock{asking, changing} {
		require.NoError(t, c.Sync(t.Context()))
		require.Equal(t, time.UTC, c.Now().Location())
	}
	for range 20 {
		first := asking.Now()
		<-time.After(2 * freshness.Skew)
		second := changing.Now()
		<-time.After(2 * freshness.Skew)
		third := asking.Now()
		require.True(t, second.After(first))
		require.True(t, third.After(second.Add(freshness.Skew)))
	}

	keys := keyring(t)
	customers, epochs := postgres.NewCustomers(db.Pool, keys, vault.Customers(keys)), postgres.NewEpochs(db.Pool, keys)
	n := portstest.Line(1)
	copyAt := func(at time.Time) product.CustomerCopy {
		return product.CustomerCopy{Customer: portstest.Customer(n), AsOf: at}
	}
	before := copyAt(asking.Now())
	require.NoError(t, epochs.Raise(t.Context(), n, changing.Now().Add(freshness.Skew)))
	require.NoError(t, customers.Put(t.Context(), before))
	_, err := customers.Latest(t.Context(), n)
	require.Error(t, err, "asked before the change")
	<-time.After(2 * freshness.Skew)
	require.NoError(t, customers.Put(t.Context(), copyAt(asking.Now())))
	_, err = customers.Latest(t.Context(), n)
	require.NoError(t, err, "asked after the change")
}

func TestAClockRunsWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.KOS)
	c := postgres.NewClock(db.Pool, wrong(time.Hour))
	require.NoError(t, c.Sync(t.Context()))
	db.Pool.Close()
	require.Error(t, c.Sync(t.Context()))
	require.WithinDuration(t, time.Now(), c.Now(), time.Minute, "not the machine's again")
}
