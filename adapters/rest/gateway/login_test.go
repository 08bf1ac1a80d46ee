package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/openapi"
)

// TestLoginPassesWhole: device cookies and service credentials reach the auth service, and its cookie the client
// (ADR 16, ADR 29).
func TestLoginPassesWhole(t *testing.T) {
	t.Parallel()
	const cookie = "phonebill_device_1f2e3d4c=d1.x; Path=/api/v1/auth; HttpOnly; SameSite=Lax"
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, want := range map[string]string{
			"Cookie": "phonebill_device_a=1; phonebill_device_b=2", "X-Service-Credential": "pbs1.key",
			"X-End-User-Address": "203.0.113.9",
			"X-End-User-Agent":   "phone", "X-User-Id": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		w.Header().Set("Set-Cookie", cookie)
	}))
	defer upstream.Close()
	c := config()
	c.Auth = proxy(t, openapi.Auth, upstream.URL)
	h := newGateway(t, c)
	req := httptest.NewRequest(http.MethodPost, "/api/v1/auth/login", http.NoBody)
	req.Header.Set("Cookie", "phonebill_device_a=1; phonebill_device_b=2")
	req.Header.Set("X-Service-Credential", "pbs1.key")
	req.Header.Set("X-End-User-Address", "203.0.113.9")
	req.Header.Set("X-End-User-Agent", "phone")
	req.Header.Set("X-User-Id", "admin")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, cookie, rec.Header().Get("Set-Cookie"))
}
