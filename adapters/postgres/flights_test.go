package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/freshness"
	"phonebill/core/personal"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestFlights(t *testing.T) {
	t.Parallel()
	portstest.Flights(t, func(t *testing.T) (one, other ports.Flights, pass func(time.Duration)) {
		t.Helper()
		pool, keys := pgtest.New(t, migrations.KOS).Pool, keyring(t)
		return postgres.NewFlights(pool, keys, time.Now), postgres.NewFlights(pool, keys, time.Now), func(d time.Duration) { <-time.After(d) }
	})
}

func TestFlightsAreForgotten(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, migrations.KOS).Pool
	f := postgres.NewFlights(pool, keyring(t), time.Now)
	for i := range 3 {
		key := personal.NewSecret(portstest.Line(i).Digits())
		_, err := f.Begin(t.Context(), freshness.Subject{Kind: freshness.Customers, Key: key}, time.Minute)
		require.NoError(t, err)
	}
	require.NoError(t, f.Forget(t.Context()))
	require.Equal(t, 3, count(t, pool, "flights"))
	_, err := pool.Exec(t.Context(),
		"UPDATE flights SET until = until - interval '11 minutes 1 second' WHERE ctid IN (SELECT ctid FROM flights LIMIT 2)")
	require.NoError(t, err)
	require.NoError(t, f.Forget(t.Context()))
	require.Equal(t, 1, count(t, pool, "flights"))
}
