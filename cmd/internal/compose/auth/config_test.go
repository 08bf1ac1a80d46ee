package auth_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/auth"
)

func TestSessionsAreConfiguration(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	vars := map[string]string{
		"AUTH_DATABASE_URL": "postgres://x", "KEYRING_FILE": "k", "VALKEY_ADDR": "v:1", "INTERNAL_TOKEN": secret,
		"GATEWAY_AUDIT_TOKEN": secret + "x", "SESSION_IDLE": "5m", "SESSION_IDLE_AUTO": "6h", "SESSION_LIFETIME": "7h",
		"REFRESH_GRACE": "2s", "SESSION_DEVICES": "3",
	}
	c, err := compose.Load(func(key string) string { return vars[key] })
	require.NoError(t, err)
	require.Equal(t, secret, c.InternalAPI.Token.Reveal())
	require.Equal(t, auth.SessionPolicy{
		Idle: 5 * time.Minute, IdleAuto: 6 * time.Hour, Refresh: 7 * time.Hour, RefreshGrace: 2 * time.Second,
		Access: 30 * time.Minute, Devices: 3,
	}, c.Sessions.Policy())

	vars["SESSION_DEVICES"], vars["REFRESH_GRACE"] = "0", "-1s"
	_, err = compose.Load(func(key string) string { return vars[key] })
	require.ErrorContains(t, err, "SESSION_DEVICES")
	require.ErrorContains(t, err, "REFRESH_GRACE")
}
