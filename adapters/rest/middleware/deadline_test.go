package middleware_test

import (
	"net/http"
	"net/http/httptest"
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
		h := middleware.Deadline(2 * time.Second)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			end, ok := r.Context().Deadline()
			require.True(t, ok)
			left = time.Until(end)
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/"+query, http.NoBody))
		require.InDelta(t, want.Seconds(), left.Seconds(), 0.5, query)
	}
}
