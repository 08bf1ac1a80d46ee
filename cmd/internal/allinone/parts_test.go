package allinone

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
)

// TestEachProcessGetsTheSecretsThatItReads and no others, although the environment has all of them.
func TestEachProcessGetsTheSecretsThatItReads(t *testing.T) {
	t.Parallel()
	readers := map[string][]string{
		"KOS_TOKEN":         {kosName, service.Bill, service.Product},
		"MVNOAP_SECRET":     {apName, service.Bill, service.Product},
		"AUTH_DATABASE_URL": {authName}, "BILL_DATABASE_URL": {service.Bill}, "PRODUCT_DATABASE_URL": {service.Product},
		"KOS_DATABASE_URL":    {service.Bill, service.Product},
		"KEYRING_FILE":        {authName, service.Bill, service.Product},
		"INTERNAL_TOKEN":      {authName, gatewayName, service.Bill, service.Product},
		"GATEWAY_AUDIT_TOKEN": {authName, gatewayName},
		"DATABASE_URL":        nil, "AUTH_OWNER_URL": nil, "SECRET_OF_ANOTHER": nil, "PATH": {
			authName, apName, gatewayName, kosName, service.Bill, service.Product,
		},
	}
	for _, p := range new(system).parts() {
		env := needed(p.variables, func(key string) string { return "value of " + key })
		require.Contains(t, env, "PHONEBILL_ENV=value of PHONEBILL_ENV", p.name)
		for key, programs := range readers {
			given := slices.ContainsFunc(env, func(pair string) bool { return strings.HasPrefix(pair, key+"=") })
			require.Equal(t, slices.Contains(programs, p.name), given, "%s for %s", key, p.name)
		}
	}
}

// TestTheFaultsOfAllPartsAreNamedAtOnce before anything is started.
func TestTheFaultsOfAllPartsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	vars := map[string]string{boot.Environment: "development"}
	env := boot.Env(func(key string) string { return vars[key] })
	_, err := load(env)
	require.NoError(t, err)
	faults := []string{
		"SESSION_DEVICES", "KOS_QUOTA_PER_MINUTE", "KOS_DELAY_PERCENT", "BOOKS_AT", "CHANGE_EFFECTIVE", "SPOOL_MAX_BYTES",
		"TRUSTED_PROXIES", "DATABASE_POOL_SIZE", "LOG_LEVEL",
	}
	for _, key := range faults {
		vars[key] = "nonsense"
	}
	_, err = load(env)
	require.Len(t, strings.Split(err.Error(), "\n"), len(faults), "each once: %v", err)
	for _, key := range faults {
		require.ErrorContains(t, err, key+": ")
	}
	vars = map[string]string{boot.Environment: "production"}
	_, err = load(env)
	require.ErrorContains(t, err, "use make run")
}
