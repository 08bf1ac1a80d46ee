package gateway_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/gateway"
)

const page = "https://app.example.com"

// fromPage sends a request as a browser does for a page of the origin.
func fromPage(h http.Handler, method, path, origin string, headers ...string) *http.Response {
	req := httptest.NewRequest(method, path, nil)
	req.Header.Set("Origin", origin)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Result()
}

func TestAnAllowedPageMayCall(t *testing.T) {
	t.Parallel()
	c := config()
	c.Origins = gateway.Origins{page, "https://staff.example.com:8443"}
	h := newGateway(t, c)

	pre := fromPage(h, http.MethodOptions, "/api/v1/bills/inquiry", page, "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
	require.Equal(t, http.StatusNoContent, pre.StatusCode)
	require.Equal(t, page, pre.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", pre.Header.Get("Access-Control-Allow-Credentials"))
	require.Equal(t, "7200", pre.Header.Get("Access-Control-Max-Age"))
	require.Contains(t, pre.Header.Get("Access-Control-Allow-Methods"), "POST")
	for _, header := range []string{"Authorization", "Content-Type", "Idempotency-Key"} {
		require.Contains(t, pre.Header.Get("Access-Control-Allow-Headers"), header)
	}
	require.Contains(t, strings.Join(pre.Header.Values("Vary"), ","), "Access-Control-Request-Headers")

	for name, res := range map[string]*http.Response{
		"an answer":        fromPage(h, http.MethodGet, "/api/v1/bills/menu", page, "Authorization", "Bearer good"),
		"a refusal":        fromPage(h, http.MethodGet, "/api/v1/bills/menu", page),
		"an unknown path":  fromPage(h, http.MethodGet, "/nowhere", page),
		"another protocol": fromPage(h, http.MethodGet, "/api/v1/bills/menu", page, "Upgrade", "websocket"),
		"the staff's page": fromPage(h, http.MethodGet, "/api/v1/bills/menu", "https://staff.example.com:8443"),
	} {
		require.NotEmpty(t, res.Header.Get("Access-Control-Allow-Origin"), name)
		require.Equal(t, []string{"Origin"}, res.Header.Values("Vary"), name)
		exposed := res.Header.Get("Access-Control-Expose-Headers")
		for _, header := range []string{"Retry-After", "RateLimit", "RateLimit-Policy", "ETag", "X-Request-Id", "Location"} {
			require.Contains(t, exposed, header, name)
		}
	}
}

// TestAnotherPageGetsNothing: neither a header nor a word of why, but a line in the log.
func TestAnotherPageGetsNothing(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{
		"https://app.example.com.evil.example", "https://evilapp.example.com", "http://app.example.com", "null",
		"https://app.example.com:8443", "HTTPS://APP.EXAMPLE.COM", "https://app.example.com/", strings.Repeat("x", 5000),
	} {
		var log bytes.Buffer
		c := config()
		c.Origins, c.Log = gateway.Origins{page}, slog.New(slog.NewJSONHandler(&log, nil))
		h := newGateway(t, c)
		pre := fromPage(h, http.MethodOptions, "/api/v1/bills/menu", origin, "Access-Control-Request-Method", "GET")
		get := fromPage(h, http.MethodGet, "/api/v1/bills/menu", origin, "Authorization", "Bearer good")
		require.Equal(t, http.StatusNoContent, pre.StatusCode)
		require.Equal(t, http.StatusOK, get.StatusCode, "its browser withholds the answer")
		for _, res := range []*http.Response{pre, get} {
			for name := range res.Header {
				require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
			}
			require.Equal(t, "Origin", res.Header.Get("Vary"), "a cache must not give this answer to the allowed page")
		}
		require.Equal(t, 2, strings.Count(log.String(), "origin that is not allowed"))
		require.NotContains(t, log.String(), strings.Repeat("x", 201))
	}
}

func TestTheGatewaysOwnPagesAreNoStrangers(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := config()
	c.Log = slog.New(slog.NewJSONHandler(&log, nil))
	res := fromPage(newGateway(t, c), http.MethodGet, "/api/v1/bills/menu", "http://example.com")
	require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, res.Header.Get("Vary"), "no page is allowed: no answer differs")
	require.NotContains(t, log.String(), "not allowed")
}

func TestOptionsOutsideOfBrowsersIsAMethodLikeOthers(t *testing.T) {
	t.Parallel()
	c := config()
	c.Origins = gateway.Origins{page}
	res := send(newGateway(t, c), http.MethodOptions, "/api/v1/bills/menu", "")
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
	require.Equal(t, "GET, HEAD", res.Header.Get("Allow"))
}

func TestOriginsThatWouldMatchNothingOrTooMuchAreRefused(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		page, "http://localhost:5173", "https://xn--vb0b7dz5a.kr", "https://203.0.113.8:8443", "https://[2001:db8::1]:8443",
	} {
		origin, err := gateway.ParseOrigin(good)
		require.NoError(t, err, good)
		require.Equal(t, good, origin)
	}
	for _, bad := range []string{
		"", "*", "null", "https://*", "https://*.example.com", "app.example.com", "https://app.example.com/",
		"https://app.example.com/x", "https://app.example.com?x", "https://app.example.com?", "https://app.example.com#",
		"https://user@app.example.com", "https://App.example.com", "https://app.example.com:443", "http://a.example:80",
		"https://app.example.com:", "ftp://app.example.com", "https://", "https://요금.kr", "https://app_example.com",
		"file:///x", "https://a b", "chrome-extension://abc", "https://app.example.com,https://b.example",
	} {
		_, err := gateway.ParseOrigin(bad)
		require.Error(t, err, bad)
	}
}

func TestOnlyTheGatewaysOwnNamesAreServed(t *testing.T) {
	t.Parallel()
	c := config()
	c.Hosts = []string{"api.example.com", "127.0.0.1", "::1"}
	h := newGateway(t, c)
	for host, status := range map[string]int{
		"api.example.com": http.StatusOK, "API.example.com:8443": http.StatusOK, "api.example.com.": http.StatusOK,
		"127.0.0.1:8080": http.StatusOK, "[::1]:8080": http.StatusOK, "[::1]": http.StatusOK,
		"evil.example": http.StatusBadRequest, "api.example.com.evil.example": http.StatusBadRequest,
		"": http.StatusBadRequest, "127.0.0.2": http.StatusBadRequest,
	} {
		for path, want := range map[string]int{"/api/v1/bills/menu": status, "/health": http.StatusOK} {
			req := httptest.NewRequest(http.MethodGet, path, nil)
			req.Host = host
			req.Header.Set("Authorization", "Bearer good")
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			require.Equal(t, want, rec.Code, host+path)
			if want != http.StatusOK {
				require.Contains(t, rec.Body.String(), `"field":"Host"`)
			}
		}
	}
}

// TestUpgradesAreRefused: behind a proxy that passes an upgrade on, the connection would lead to the service itself.
func TestUpgradesAreRefused(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"h2c", "websocket", "TLS/1.0", "x"} {
		res := fromPage(newGateway(t, config()), http.MethodGet, "/api/v1/bills/menu", "",
			"Connection", "Upgrade, HTTP2-Settings", "Upgrade", protocol, "Authorization", "Bearer good")
		require.Equal(t, http.StatusBadRequest, res.StatusCode)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Contains(t, string(text), `"field":"Upgrade"`)
		require.Equal(t, "close", res.Header.Get("Connection"))
	}
}
