package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/compose/gateway"
)

func TestFirewallSettings(t *testing.T) {
	t.Parallel()
	load := func(mode, routes string) error {
		vars := map[string]string{
			"INTERNAL_TOKEN": "0123456789abcdef0123456789abcdef", "GATEWAY_AUDIT_TOKEN": "0123456789abcdef0123456789abcdefx",
			"WAF": mode, "WAF_ROUTES": routes,
		}
		_, err := gateway.Load(func(key string) string { return vars[key] })
		return err
	}
	require.NoError(t, load("", ""))
	require.NoError(t, load("off", "/auth,/products/change"))
	require.ErrorContains(t, load("on", ""), "neither off, detect nor block")
	for _, routes := range []string{"auth", "/auth/", "/auth/*", "/api/v1/auth", "/bills/{id}"} {
		require.ErrorContains(t, load("off", routes), "WAF_ROUTES", routes)
	}
	if err := load("block", ""); gateway.FirewallBuilt {
		require.NoError(t, err)
	} else {
		require.ErrorContains(t, err, "go build -tags waf", "a firewall that is wanted and missing stops the start")
	}
}
