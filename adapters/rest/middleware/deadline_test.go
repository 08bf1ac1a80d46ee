package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/middleware"
)

func TestDeadline(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{
		"": 2 * time.Second, "?x=1": 2 * time.Second, "?wait=0": 2 * time.Second, "?wait=7": 9 * time.Second,
		"?wait=26": 2 * time.Second, "?wait=-1": 2 * time.Second, "?wait=soon": 2 * time.Second,
	} {
		var left time.Duration
		h := middleware.Deadline(2*time.Second, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			end, ok := r.Context().Deadline()
			require.True(t, ok)
			left = time.Until(end)
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/"+query, http.NoBody))
		require.InDelta(t, want.Seconds(), left.Seconds(), 0.5, query)
	}
}

// TestATrustedPeerGivesARequestLessTime: never more, and what any other peer says is removed.
func TestATrustedPeerGivesARequestLessTime(t *testing.T) {
	t.Parallel()
	gateway := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for name, c := range map[string]struct {
		said    string
		trusted []netip.Prefix
		want    time.Duration
	}{
		"less":         {"700", gateway, 700 * time.Millisecond},
		"more":         {"9000", gateway, 2 * time.Second},
		"none":         {"0", gateway, 2 * time.Second},
		"nonsense":     {"soon", gateway, 2 * time.Second},
		"from outside": {"700", nil, 2 * time.Second},
	} {
		var left time.Duration
		h := middleware.Deadline(2*time.Second, c.trusted)(http.HandlerFunc(
			func(_ http.ResponseWriter, r *http.Request) {
				end, _ := r.Context().Deadline()
				left = time.Until(end)
				require.Empty(t, r.Header.Get(middleware.TimeoutHeader))
			}))
		req := httptest.NewRequest(http.MethodGet, "/", http.NoBody) // from 192.0.2.1
		req.Header.Set(middleware.TimeoutHeader, c.said)
		h.ServeHTTP(httptest.NewRecorder(), req)
		require.InDelta(t, c.want.Seconds(), left.Seconds(), 0.5, name)
	}
}
