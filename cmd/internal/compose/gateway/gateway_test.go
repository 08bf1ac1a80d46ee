package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/middleware"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/auth"
	"phonebill/core/auth/keys"
)

// TestNoTokenIsAdmittedBeforeTheRevocationsAreKnown has a gateway whose auth service is away from the start.
func TestNoTokenIsAdmittedBeforeTheRevocationsAreKnown(t *testing.T) {
	t.Parallel()
	tools := service.RealTools(slog.New(slog.DiscardHandler))
	away := service.AuthLink{URL: []string{"http://127.0.0.1:1"}, InternalURL: []string{"http://127.0.0.1:1"}}
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
	require.Equal(t, []string{"http://a:9081"}, c.Instances.WithAuth([]string{"http://a:9081"}).Auth)
	c.Instances.Auth = []string{"dns+http://auth:9081"}
	require.Equal(t, c.Instances, c.Instances.WithAuth([]string{"http://a:9081"}))
	for _, key := range []string{
		"BILL_INTERNAL_URLS", "PRODUCT_INTERNAL_URLS", "AUTH_INTERNAL_URLS", "GATEWAY_INTERNAL_URLS",
	} {
		for value, fails := range map[string]bool{"dns+srv+https://_in._tcp.x": false, "ftp://x": true} {
			with := map[string]string{"INTERNAL_TOKEN": secret, "GATEWAY_AUDIT_TOKEN": secret + "x", key: value}
			_, err := gateway.Load(func(k string) string { return with[k] })
			require.Equal(t, fails, err != nil, "%s=%s: %v", key, value, err)
			if fails {
				require.ErrorContains(t, err, key)
			}
		}
	}
	c = gateway.Config{Instances: gateway.Instances{Bill: []string{"b1:9082"}}}
	_, err = gateway.New(t.Context(), c, gateway.Upstreams{}, service.RealTools(slog.New(slog.DiscardHandler)))
	require.ErrorContains(t, err, "cannot start gateway")
	require.ErrorContains(t, err, `"b1:9082" is not an origin`)
}

// TestASystemIsKnownByItsCredential: the end user whom it calls for is the client of every operation. While the keys
// cannot be asked for, an unknown credential makes its peer the client.
func TestASystemIsKnownByItsCredential(t *testing.T) {
	t.Parallel()
	var stored memory.ServiceKeys
	key, err := keys.MintServiceKey(t.Context(), &stored, "mvno-ap", time.Now())
	require.NoError(t, err)
	internal := &internalapi.Handlers{ServiceKeys: &stored, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	var away atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusNotFound) // as an auth service of the release before
			return
		}
		internal.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	var seen auth.Client
	up := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = middleware.ClientOf(r.Context()) })
	open := func() http.Handler {
		c := gateway.Config{Auth: service.AuthLink{URL: []string{srv.URL}, InternalURL: []string{srv.URL}}}
		unit, err := gateway.New(t.Context(), c, gateway.Upstreams{Auth: up, Bill: up, Product: up},
			service.RealTools(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		t.Cleanup(unit.Close)
		return unit.Handler
	}
	ask := func(h http.Handler, credential string) int {
		seen = auth.Client{}
		req := httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil)
		req.Header.Set("X-Service-Credential", credential)
		req.Header.Set("X-End-User-Address", "203.0.113.9")
		req.Header.Set("X-End-User-Agent", "phone")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec.Code
	}
	h := open()
	require.Equal(t, http.StatusOK, ask(h, key.Reveal()))
	require.Equal(t, auth.Client{IP: "203.0.113.9", UserAgent: "phone", Service: "mvno-ap"}, seen)
	require.Equal(t, http.StatusUnauthorized, ask(h, "pbs1.guess"))
	require.Equal(t, http.StatusOK, ask(h, ""))
	require.Equal(t, "192.0.2.1", seen.IP, "without a credential nothing is believed")
	away.Store(true)
	require.Equal(t, http.StatusOK, ask(h, key.Reveal()))
	require.Equal(t, "mvno-ap", seen.Service, "a known one stays valid")
	require.Equal(t, http.StatusOK, ask(open(), key.Reveal()))
	require.Equal(t, auth.Client{IP: "192.0.2.1"}, seen)
}

// TestTheProxyProtocolIsBelievedOfTrustedPeersAlone: what another peer sends in its place is no HTTP.
func TestTheProxyProtocolIsBelievedOfTrustedPeersAlone(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	var seen atomic.Value
	up := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen.Store(middleware.ClientOf(r.Context()).IP)
	})
	for trusted, want := range map[string]string{"127.0.0.0/8": "203.0.113.9", "10.0.0.0/8": ""} {
		vars := map[string]string{
			"INTERNAL_TOKEN": secret, "GATEWAY_AUDIT_TOKEN": secret + "x", "PROXY_PROTOCOL": "true", "TRUSTED_PROXIES": trusted,
			"GATEWAY_ADDR": "127.0.0.1:0", "GATEWAY_INTERNAL_ADDR": "127.0.0.1:0", "DRAIN_DELAY": "0",
		}
		c, err := gateway.Load(func(key string) string { return vars[key] })
		require.NoError(t, err)
		unit, err := gateway.New(t.Context(), c, gateway.Upstreams{Auth: up, Bill: up, Product: up},
			service.RealTools(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		unit.Workers = nil
		run, err := unit.Start(t.Context(), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		t.Cleanup(func() { _ = run.Stop() })
		for _, header := range []string{"PROXY TCP4 203.0.113.9 127.0.0.1 5 6\r\n", ""} {
			seen.Store("")
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(run.URL, "http://"))
			require.NoError(t, err)
			const request = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
			_, err = io.WriteString(conn, header+request)
			require.NoError(t, err)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.NoError(t, errors.Join(res.Body.Close(), conn.Close()))
			switch {
			case header != "":
				require.Equal(t, want, seen.Load())
				require.Equal(t, want == "", res.StatusCode == http.StatusBadRequest)
			case want == "":
				require.Equal(t, "127.0.0.1", seen.Load())
			default:
				require.Equal(t, "6.6.6.6", seen.Load(), "a trusted proxy of HTTP")
			}
		}
	}
	_, err := gateway.Load(func(key string) string {
		return map[string]string{"PROXY_PROTOCOL": "true", "INTERNAL_TOKEN": secret, "GATEWAY_AUDIT_TOKEN": secret + "x"}[key]
	})
	require.ErrorContains(t, err, "TRUSTED_PROXIES")
}

func TestTheDoorIsConfiguration(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	load := func(key, value string) (gateway.Config, error) {
		vars := map[string]string{"INTERNAL_TOKEN": secret, "GATEWAY_AUDIT_TOKEN": secret + "x", key: value}
		return gateway.Load(func(key string) string { return vars[key] })
	}
	c, err := load("CORS_ORIGINS", "https://app.example.com, https://staff.example.com:8443")
	require.NoError(t, err)
	require.Len(t, c.Origins, 2)
	c, err = load("GATEWAY_HOSTS", "api.example.com,localhost")
	require.NoError(t, err)
	require.Len(t, c.Hosts, 2)
	c, err = load("FORWARDED_HEADER", "Forwarded")
	require.NoError(t, err)
	require.Equal(t, "Forwarded", c.ForwardedHeader)
	for _, wrong := range [][2]string{
		{"CORS_ORIGINS", "*"}, {"CORS_ORIGINS", "https://app.example.com,https://*.example.com"},
		{"CORS_ORIGINS", "https://app.example.com/"}, {"CORS_ORIGINS", "http://app.example.com"},
		{"FORWARDED_HEADER", "X-Real-IP"}, {"TRUSTED_PROXIES", "0.0.0.0/0"}, {"TRUSTED_PROXIES", "10.0.0.1"},
	} {
		_, err := load(wrong[0], wrong[1])
		require.ErrorContains(t, err, wrong[0], wrong[1])
	}
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
