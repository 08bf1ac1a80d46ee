package compose_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose"
)

// environment is one in which the bill service could start, with changes.
func environment(more map[string]string) boot.Env {
	all := map[string]string{
		"BILL_DATABASE_URL": "postgres://b", "KOS_DATABASE_URL": "postgres://k", "VALKEY_ADDR": "127.0.0.1:1", "KEYRING_FILE": "k",
		"KOS_URL": "http://kos", "KOS_TOKEN": "t", "MVNOAP_URL": "http://ap", "MVNOAP_SECRET": "s",
	}
	for key, value := range more {
		all[key] = value
	}
	return func(key string) string { return all[key] }
}

func TestTheLinkToKOSIsConfigured(t *testing.T) {
	t.Parallel()
	c, err := compose.ReadBill(environment(nil))
	require.NoError(t, err)
	require.Equal(t, "t", c.KOS.Token.Reveal())
	require.Empty(t, c.KOS.Breakers)

	c, err = compose.ReadBill(environment(map[string]string{
		"KOS_TOKEN": "", "KOS_TOKEN_FILE": "/run/keys", "KOS_BREAKERS": "bill.inquiry=7/45s/2",
	}))
	require.NoError(t, err)
	require.Equal(t, "/run/keys", c.KOS.TokenFile)
	require.Equal(t, kos.BreakerPolicies{"bill.inquiry": {Failures: 7, Open: 45 * time.Second, Successes: 2}}, c.KOS.Breakers)
}

func TestMistakesOfTheLinkAreNamed(t *testing.T) {
	t.Parallel()
	_, err := compose.ReadBill(environment(map[string]string{"KOS_TOKEN": ""}))
	require.ErrorContains(t, err, "KOS_TOKEN is not set")
	_, err = compose.ReadBill(environment(map[string]string{"KOS_BREAKERS": "customer.get=5/30s/3,bill.inquiry=often", "KOS_FLOOR": "many"}))
	require.ErrorContains(t, err, `KOS_BREAKERS: "bill.inquiry=often"`)
	require.ErrorContains(t, err, "KOS_FLOOR")
}
