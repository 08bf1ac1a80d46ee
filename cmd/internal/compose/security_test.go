package compose_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/billinquiry"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/productchange"
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

// starts are the services, each with an environment in which it starts outside development.
func starts() map[string]func(more map[string]string) error {
	with := func(read func(boot.Env) error, own map[string]string) func(map[string]string) error {
		return func(more map[string]string) error {
			env := environment(own)
			return read(func(key string) string {
				if v, set := more[key]; set {
					return v
				}
				return env(key)
			})
		}
	}
	return map[string]func(map[string]string) error{
		"auth": with(func(e boot.Env) error { _, err := auth.Load(e); return err },
			map[string]string{"AUTH_DATABASE_URL": "postgres://a"}),
		"bill": with(func(e boot.Env) error { _, err := billinquiry.Load(e); return err }, nil),
		"product": with(func(e boot.Env) error { _, err := productchange.Load(e); return err },
			map[string]string{"PRODUCT_DATABASE_URL": "postgres://p"}),
		"gateway": with(func(e boot.Env) error { _, err := gateway.Load(e); return err }, nil),
	}
}

// TestNoServiceStartsWithWeakenedSecurity: outside development a setting that weakens the security stops the start and
// is named; in development it is taken.
func TestNoServiceStartsWithWeakenedSecurity(t *testing.T) {
	t.Parallel()
	type settings = map[string]string
	everywhere := []settings{
		{"INTERNAL_TOKEN": strings.Repeat(" ", 32)}, {"INTERNAL_TOKEN": strings.Repeat("ab", 16)}, {"INTERNAL_TOKEN": ""},
		{"INTERNAL_TOKEN": longSecret[1:]}, {"VALKEY_MINI": "true"},
	}
	behind := []settings{{"TRUSTED_PEERS": "0.0.0.0/0"}, {"TRUSTED_PEERS": "10.0.0.0/8,::/0"}, {
		"TRUSTED_PEERS": "0.0.0.0/1,128.0.0.0/1",
	}}
	outside := append([]settings{{"MVNOAP_SECRET": "short"}, {"MVNOAP_SECRET_NEXT": "short"}}, behind...)
	weak := map[string][]settings{
		"gateway": {{"TRUSTED_PROXIES": "0.0.0.0/0"}, {"GATEWAY_AUDIT_TOKEN": ""}, {"GATEWAY_AUDIT_TOKEN": "short"}},
		"auth": append([]settings{
			{"ARGON2_MEMORY_KIB": "8"}, {"ARGON2_MEMORY_KIB": "19455"}, {"ARGON2_PASSES": "1"}, {"AUTH_COOKIE_SECURE": "false"},
			{"LOGIN_THROTTLE_PER_MINUTE": "0"}, {"GATEWAY_AUDIT_TOKEN": ""},
			{"REFRESH_GRACE": "24h"},
		}, behind...),
		"bill": outside, "product": outside,
	}
	for service, start := range starts() {
		require.NoError(t, start(nil), service)
		require.ErrorContains(t, start(settings{"PHONEBILL_ENV": "develop"}), "PHONEBILL_ENV", service)
		for _, settings := range append(weak[service], everywhere...) {
			err := start(settings)
			for key := range settings {
				require.ErrorContains(t, err, key+": ", "%s with %v", service, settings)
			}
			require.NotContains(t, err.Error(), longSecret[1:], "a secret is not printed")
			developing := maps.Clone(settings)
			developing["PHONEBILL_ENV"] = "development"
			require.NoError(t, start(developing), "%s with %v", service, settings)
		}
	}
}
