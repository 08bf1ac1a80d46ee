package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/quota"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestAllowances(t *testing.T) {
	t.Parallel()
	portstest.Allowances(t, func(t *testing.T, allowed quota.Allowance) (one, other ports.Allowances) {
		t.Helper()
		pool, keys := pgtest.New(t, migrations.KOS).Pool, keyring(t)
		at := func() *postgres.Allowances {
			a := postgres.NewAllowances(pool, keys, allowed, time.Now)
			a.Timeout = time.Minute // with many callers at once on a busy machine
			return a
		}
		return at(), at()
	})
}

func TestAllowancesWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	const customer = auth.UserID("share-owner")
	pool := pgtest.New(t, migrations.KOS).Pool
	a := postgres.NewAllowances(pool, keyring(t), quota.Allowance{{Calls: 3, Per: time.Hour}}, time.Now)
	require.NoError(t, a.Spend(t.Context(), customer))
	pool.Close()
	require.NoError(t, a.Spend(t.Context(), customer))
	require.NoError(t, a.Check(t.Context(), customer))
	require.NoError(t, a.Spend(t.Context(), customer))
	require.ErrorIs(t, a.Spend(t.Context(), customer), fault.New(fault.RateLimitExceeded))
	a.GiveBack(t.Context(), customer)
	require.NoError(t, a.Spend(t.Context(), customer))
}

func TestAllowancesAreForgotten(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, migrations.KOS).Pool
	a := postgres.NewAllowances(pool, keyring(t), quota.DefaultAllowance(), time.Now)
	require.NoError(t, a.Spend(t.Context(), "share-owner"))
	require.NoError(t, a.Spend(t.Context(), "share-other"))
	require.NoError(t, a.Forget(t.Context()))
	require.Equal(t, 2, count(t, pool, "customer_calls"))
	_, err := pool.Exec(t.Context(), `UPDATE customer_calls SET written_at = written_at - interval '62 minutes'
		WHERE ctid IN (SELECT ctid FROM customer_calls LIMIT 1)`)
	require.NoError(t, err)
	require.NoError(t, a.Forget(t.Context()))
	require.Equal(t, 1, count(t, pool, "customer_calls"))
}
