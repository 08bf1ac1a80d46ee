package compose_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose"
	"phonebill/core/auth"
)

// TestNobodyIsAdmittedBeforeTheRevocationsAreKnown has a gateway whose auth service is away from the start.
func TestNobodyIsAdmittedBeforeTheRevocationsAreKnown(t *testing.T) {
	t.Parallel()
	tools := compose.RealTools(slog.New(slog.DiscardHandler))
	away := compose.AuthLink{URL: "http://127.0.0.1:1", InternalURL: "http://127.0.0.1:1"}
	open := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("let in") })
	up := compose.Upstreams{Auth: open, Bill: open, Product: open}
	unit, err := compose.Gateway(t.Context(), compose.GatewayConfig{Auth: away}, up, tools)
	require.NoError(t, err)
	t.Cleanup(unit.Close)
	ask := func(header string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodGet, "/api/v1/bills/menu", nil)
		req.Header.Set("Authorization", header)
		rec := httptest.NewRecorder()
		unit.Handler.ServeHTTP(rec, req)
		return rec
	}
	rec := ask("Bearer x")
	require.Equal(t, http.StatusServiceUnavailable, rec.Code, rec.Body.String())
	require.Equal(t, "1", rec.Header().Get("Retry-After"))
	require.Contains(t, rec.Body.String(), `"SERVICE_UNAVAILABLE"`)
	require.Equal(t, http.StatusUnauthorized, ask("").Code, "who has no token needs no revocations")
	require.NotEmpty(t, unit.Failing(context.WithoutCancel(t.Context())), "nor is it ready")
}

func TestSessionsAndTheLinkAreConfiguration(t *testing.T) {
	t.Parallel()
	vars := map[string]string{
		"AUTH_DATABASE_URL": "postgres://x", "KEYRING_FILE": "k", "VALKEY_ADDR": "v:1", "INTERNAL_TOKEN": longSecret, "SESSION_IDLE": "5m",
		"GATEWAY_AUDIT_TOKEN": otherSecret,
		"SESSION_IDLE_AUTO":   "6h", "SESSION_LIFETIME": "7h", "REFRESH_GRACE": "2s", "SESSION_DEVICES": "3",
	}
	env := boot.Env(func(key string) string { return vars[key] })
	a, err := compose.ReadAuth(env)
	require.NoError(t, err)
	require.Equal(t, longSecret, a.InternalToken.Reveal())
	require.Equal(t, auth.SessionPolicy{
		Idle: 5 * time.Minute, IdleAuto: 6 * time.Hour, Refresh: 7 * time.Hour, RefreshGrace: 2 * time.Second,
		Access: 30 * time.Minute, Devices: 3,
	}, a.Sessions)
	g, err := compose.ReadGateway(env)
	require.NoError(t, err)
	require.Equal(t, longSecret, g.Auth.Token.Reveal())
	require.Equal(t, "v:1", g.Cache.Addr)

	vars = map[string]string{"SESSION_DEVICES": "0", "REFRESH_GRACE": "-1s", "INTERNAL_TOKEN": longSecret, "GATEWAY_AUDIT_TOKEN": otherSecret}
	g, err = compose.ReadGateway(env)
	require.NoError(t, err)
	require.Empty(t, g.Cache.Addr, "a gateway needs no cache")
	_, err = compose.ReadAuth(env)
	require.ErrorContains(t, err, "SESSION_DEVICES")
	require.ErrorContains(t, err, "REFRESH_GRACE")
}
