package gateway_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/service"
)

// TestNoTokenIsAdmittedBeforeTheRevocationsAreKnown has a gateway whose auth service is away from the start.
func TestNoTokenIsAdmittedBeforeTheRevocationsAreKnown(t *testing.T) {
	t.Parallel()
	tools := service.RealTools(slog.New(slog.DiscardHandler))
	away := service.AuthLink{URL: "http://127.0.0.1:1", InternalURL: "http://127.0.0.1:1"}
	open := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("let in") })
	up := gateway.Upstreams{Auth: open, Bill: open, Product: open}
	unit, err := gateway.New(t.Context(), gateway.Config{Auth: away}, up, tools)
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

func TestInstancesAreConfiguration(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	vars := map[string]string{
		"BILL_INTERNAL_URLS": "http://b1:9082, http://b2:9082", "INTERNAL_TOKEN": secret, "GATEWAY_AUDIT_TOKEN": secret + "x",
	}
	c, err := gateway.Load(func(key string) string { return vars[key] })
	require.NoError(t, err)
	require.Equal(t, gateway.Instances{
		Bill: []string{"http://b1:9082", "http://b2:9082"}, Product: []string{"http://127.0.0.1:9083"},
	}, c.Instances)
	c = gateway.Config{Instances: gateway.Instances{Bill: []string{"b1:9082"}}}
	_, err = gateway.New(t.Context(), c, gateway.Upstreams{}, service.RealTools(slog.New(slog.DiscardHandler)))
	require.ErrorContains(t, err, "cannot start gateway")
	require.ErrorContains(t, err, `"b1:9082" is not an origin`)
}

func TestAGatewayNeedsNoCache(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	vars := map[string]string{"INTERNAL_TOKEN": secret, "GATEWAY_AUDIT_TOKEN": secret + "x", "VALKEY_ADDR": "v:1"}
	c, err := gateway.Load(func(key string) string { return vars[key] })
	require.NoError(t, err)
	require.Equal(t, secret, c.Auth.Token.Reveal())
	require.Equal(t, "v:1", c.Cache.Addr)
	delete(vars, "VALKEY_ADDR")
	c, err = gateway.Load(func(key string) string { return vars[key] })
	require.NoError(t, err)
	require.Empty(t, c.Cache.Addr)
}
