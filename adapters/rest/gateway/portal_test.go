package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestThePortalIsOpenToEverybody: no token, no service; its errors are in the envelope.
func TestThePortalIsOpenToEverybody(t *testing.T) {
	t.Parallel()
	h := newGateway(t, config())
	for _, path := range []string{"/docs/ko/start", "/docs/en/reference", "/openapi.yaml", "/openapi/bill.json"} {
		res := send(h, http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, res.StatusCode, path)
		require.Equal(t, "public, max-age=300", res.Header.Get("Cache-Control"), path)
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"), path)
		require.Contains(t, res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
	}
	res := send(h, http.MethodGet, "/docs/ko/absent", "")
	require.Equal(t, http.StatusNotFound, res.StatusCode)
	require.Contains(t, body(t, res), `"NOT_FOUND"`)
	res = send(h, http.MethodPost, "/openapi.yaml", "")
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}
