package productchange_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/compose/productchange"
)

// environment is one in which the product service could start, with changes.
func environment(more map[string]string) func(string) string {
	const secret = "0123456789abcdef0123456789abcdef"
	all := map[string]string{
		"PRODUCT_DATABASE_URL": "postgres://p", "KOS_DATABASE_URL": "postgres://k", "VALKEY_ADDR": "127.0.0.1:1",
		"KEYRING_FILE": "k", "KOS_URL": "http://kos", "KOS_TOKEN": "t", "MVNOAP_URL": "http://ap", "MVNOAP_SECRET": secret,
		"INTERNAL_TOKEN": secret,
	}
	return func(key string) string {
		if v, set := more[key]; set {
			return v
		}
		return all[key]
	}
}

func TestTheReconciliationIsConfigured(t *testing.T) {
	t.Parallel()
	product := map[string]string{}
	c, err := productchange.Load(environment(product))
	require.NoError(t, err)
	require.Equal(t, 5*time.Hour, c.Reconciliation.Night.From)
	require.Equal(t, 20, c.Reconciliation.PerMinute)
	require.Equal(t, 4*time.Hour, c.Reconciliation.Asking)
	product["BOOKS_AT"], product["BOOKS_PER_MINUTE"], product["BOOKS_ASKING"] = "off", "7", "30m"
	c, err = productchange.Load(environment(product))
	require.NoError(t, err)
	require.Zero(t, c.Reconciliation.Night)
	require.Equal(t, 7, c.Reconciliation.PerMinute)
	require.Equal(t, 30*time.Minute, c.Reconciliation.Asking)
	product["BOOKS_AT"], product["BOOKS_PER_MINUTE"] = "at dawn", "0"
	_, err = productchange.Load(environment(product))
	require.ErrorContains(t, err, "BOOKS_AT")
	require.ErrorContains(t, err, "BOOKS_PER_MINUTE")
	product["CHANGE_EFFECTIVE"], product["CHANGE_ONCE_A_MONTH"] = "TOMORROW", "sometimes"
	_, err = productchange.Load(environment(product))
	require.ErrorContains(t, err, "CHANGE_EFFECTIVE: ")
	require.ErrorContains(t, err, `CHANGE_ONCE_A_MONTH: "sometimes" is neither true nor false`)
}
