package allinone_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/devservers"
	"phonebill/adapters/tlsfiles/devca"
	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/devstack"
)

// TestTLS runs a whole system with TLS=1: the gateway speaks TLS 1.3 and HTTP/2, the services and the internal
// listeners admit only who shows a certificate of the house, and certificates are renewed while all of it runs.
func TestTLS(t *testing.T) {
	t.Parallel()
	needSystem(t)
	dir, err := devservers.TempDir("phonebill-tls-")
	require.NoError(t, err)
	env := testEnv(dir)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- allinone.Run(ctx, func(key string) string {
			if key == "TLS" {
				return "1"
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
	require.NoError(t, devstack.Journey(t.Context(), f, io.Discard), "the whole journey of a customer, over TLS")

	inside, err := f.Client(10 * time.Second)
	require.NoError(t, err)
	outside := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	t.Cleanup(outside.CloseIdleConnections)
	status := func(c *http.Client, url string) (int, *http.Response) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		require.NoError(t, err)
		res, err := c.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode, res
	}
	code, res := status(outside, f.BaseURL+"/health")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "HTTP/2.0", res.Proto)
	require.Equal(t, uint16(tls.VersionTLS13), res.TLS.Version)
	code, _ = status(outside, strings.Replace(f.BaseURL, "https:", "http:", 1)+"/health")
	require.Equal(t, http.StatusBadRequest, code, "plain HTTP is not spoken")

	for name, origin := range map[string]string{
		"auth": f.Services["auth"], "bill": f.Services["bill"], "product": f.Services["product"],
		"inside auth": strings.TrimSuffix(f.Metrics["auth"], "/metrics"), "inside gateway": strings.TrimSuffix(
			f.Metrics["gateway"], "/metrics"),
	} {
		require.True(t, strings.HasPrefix(origin, "https://"), name)
		path := "/.well-known/jwks.json"
		if strings.HasPrefix(name, "inside") {
			path = "/metrics"
		}
		code, _ = status(outside, origin+path)
		require.Equal(t, http.StatusUnauthorized, code, "%s admits a caller without a certificate", name)
		code, _ = status(outside, origin+"/readyz")
		require.Equal(t, http.StatusOK, code, "%s: probes need none", name)
		code, _ = status(inside, origin+path)
		require.Contains(t, []int{http.StatusOK, http.StatusNotFound}, code, name)
	}
	other, err := devca.Open(t.TempDir(), time.Now())
	require.NoError(t, err)
	forged, err := other.Issue("services", time.Now(), "127.0.0.1")
	require.NoError(t, err)
	via, err := service.Identity{Cert: forged.Cert, Key: forged.Key, CA: f.TLS.CA}.Via(time.Now())
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.Metrics["auth"], http.NoBody)
	require.NoError(t, err)
	_, err = (&http.Client{Transport: via}).Do(req)
	require.Error(t, err, "a certificate of another authority is refused in the handshake")

	before := res.TLS.PeerCertificates[0].SerialNumber
	ca, err := devca.Open(filepath.Join(dir, "tls"), time.Now())
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "tls", "gateway.pem")))
	_, err = ca.Issue("gateway", time.Now(), "127.0.0.1")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		outside.CloseIdleConnections()
		_, res := status(outside, f.BaseURL+"/health")
		return res.TLS.PeerCertificates[0].SerialNumber.Cmp(before) != 0
	}, 30*time.Second, 100*time.Millisecond, "a renewed certificate is in use without a restart")
}
