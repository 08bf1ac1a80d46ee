package billinquiry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/billinquiry"
)

const (
	longSecret  = "0123456789abcdef0123456789abcdef"
	otherSecret = "fedcba9876543210fedcba9876543210"
)

// environment is one in which the bill service could start, with changes.
func environment(more map[string]string) boot.Env {
	all := map[string]string{
		"BILL_DATABASE_URL": "postgres://b", "KOS_DATABASE_URL": "postgres://k", "VALKEY_ADDR": "127.0.0.1:1",
		"KEYRING_FILE": "k",
		"KOS_URL":      "http://kos", "KOS_TOKEN": "t", "MVNOAP_URL": "http://ap", "MVNOAP_SECRET": longSecret,
		"INTERNAL_TOKEN":      longSecret,
		"GATEWAY_AUDIT_TOKEN": otherSecret,
	}
	for key, value := range more {
		all[key] = value
	}
	return func(key string) string { return all[key] }
}

func TestTheLinkToKOSIsConfigured(t *testing.T) {
	t.Parallel()
	c, err := billinquiry.Load(environment(nil))
	require.NoError(t, err)
	require.Equal(t, "t", c.Links.KOS.Token.Reveal())
	require.Empty(t, c.Links.KOS.Breakers)

	c, err = billinquiry.Load(environment(map[string]string{
		"KOS_TOKEN": "", "KOS_TOKEN_FILE": "/run/keys", "KOS_BREAKERS": "bill.inquiry=7/45s/2",
	}))
	require.NoError(t, err)
	require.Equal(t, "/run/keys", c.Links.KOS.TokenFile)
	require.Equal(t, kos.BreakerPolicies{
		"bill.inquiry": {Failures: 7, Open: 45 * time.Second, Successes: 2},
	}, c.Links.KOS.Breakers)
}

func TestMistakesOfTheLinkAreNamed(t *testing.T) {
	t.Parallel()
	_, err := billinquiry.Load(environment(map[string]string{"KOS_TOKEN": ""}))
	require.ErrorContains(t, err, "KOS_TOKEN is not set")
	_, err = billinquiry.Load(environment(map[string]string{
		"KOS_BREAKERS": "customer.get=5/30s/3,bill.inquiry=often", "KOS_FLOOR": "many", "MVNOAP_BREAKER": "rarely",
	}))
	require.ErrorContains(t, err, `KOS_BREAKERS: "bill.inquiry=often"`)
	require.ErrorContains(t, err, "KOS_FLOOR")
	require.ErrorContains(t, err, `MVNOAP_BREAKER`)
	for _, lease := range []string{"2m59s", "1h0m1s"} {
		_, err = billinquiry.Load(environment(map[string]string{"KOS_FLOOR_LEASE": lease}))
		require.ErrorContains(t, err, "KOS_FLOOR_LEASE: "+lease+": want 3m0s to 1h0m0s")
	}
}

// TestFloorsFitTheBudget: a floor wished for that does not fit is a mistake that names both variables; one not wished
// for is left out.
func TestFloorsFitTheBudget(t *testing.T) {
	t.Parallel()
	for _, wrong := range []map[string]string{
		{"KOS_INSTANCES": "100", "KOS_FLOOR": "100", "KOS_QUOTA_PER_MINUTE": "3"},
		{"KOS_INSTANCES": "95", "KOS_FLOOR": "1"},
		{"KOS_FLOOR": "1", "KOS_QUOTA_PER_MINUTE": "4"},
	} {
		_, err := billinquiry.Load(environment(wrong))
		require.ErrorContains(t, err, "KOS_INSTANCES=")
		require.ErrorContains(t, err, "KOS_FLOOR=")
	}
	for quota, want := range map[string]int{"1": 0, "2": 0, "4": 0, "6": 1, "100": 1, "0": 1} {
		c, err := billinquiry.Load(environment(map[string]string{"KOS_QUOTA_PER_MINUTE": quota}))
		require.NoError(t, err, quota)
		floor, err := c.Links.KOS.Floor()
		require.NoError(t, err, quota)
		require.Equal(t, want, floor.Calls, quota)
	}
	c, err := billinquiry.Load(environment(map[string]string{"KOS_INSTANCES": "47", "KOS_FLOOR": "2"}))
	require.NoError(t, err)
	floor, err := c.Links.KOS.Floor()
	require.NoError(t, err)
	require.Equal(t, 2, floor.Calls)
}
