package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
)

func TestTiers(t *testing.T) {
	t.Parallel()
	for _, tier := range auth.AllTiers() {
		got, err := auth.ParseTier(string(tier))
		require.NoError(t, err)
		require.Equal(t, tier, got)
		require.Equal(t, tier, tier.Short().OrDefault())
	}
	require.Empty(t, auth.TierDefault.Short())
	for _, text := range []string{"", "GOLD", "vip"} {
		_, err := auth.ParseTier(text)
		require.ErrorIs(t, err, fault.New(fault.ValidationError), text)
	}
}
