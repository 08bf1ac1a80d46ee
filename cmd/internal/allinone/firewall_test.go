//go:build waf

package allinone_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/devservers"
	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/devstack"
)

// TestTheFirewallBlocksNoCustomer runs a whole system behind the firewall that refuses: nothing of a customer's journey
// is refused, and an attack is.
func TestTheFirewallBlocksNoCustomer(t *testing.T) {
	t.Parallel()
	needSystem(t)
	dir, err := devservers.TempDir("phonebill-waf-")
	require.NoError(t, err)
	env := testEnv(dir)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- allinone.Run(ctx, func(key string) string {
			if key == "WAF" {
				return "block"
			}
			return env(key)
		}, io.Discard, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, os.RemoveAll(dir))
	})
	f, err := awaitFile(filepath.Join(dir, allinone.DemoFile), done)
	require.NoError(t, err)
	require.NoError(t, devstack.Journey(t.Context(), f, io.Discard), "the whole journey of a customer")
	get := func(url string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.Status + " " + string(body)
	}
	answer := get(f.BaseURL + "/api/v1/bills/menu?x=1%20UNION%20SELECT%20password%20FROM%20users")
	require.True(t, strings.HasPrefix(answer, "403 ") && strings.Contains(answer, `"FORBIDDEN"`), answer)
	metrics := get(f.Metrics["gateway"])
	require.Contains(t, metrics, `gateway_waf_requests_total{result="blocked",route="/"} 1`)
	require.NotContains(t, metrics, `gateway_waf_requests_total{result="passed",route="/"} 0`)
}
