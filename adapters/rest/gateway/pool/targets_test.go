package pool_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/gateway/pool"
)

// names is a resolver whose records the test changes.
type names struct {
	mu        sync.Mutex
	addresses map[string][]netip.Addr
	services  map[string][]*net.SRV
}

func (n *names) set(name string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses[name] = nil
	for _, a := range addresses {
		n.addresses[name] = append(n.addresses[name], netip.MustParseAddr(a))
	}
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.addresses[host]) == 0 {
		return nil, errors.New("no such host")
	}
	return slices.Clone(n.addresses[host]), nil
}

func (n *names) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return name, n.services[name], nil
}

func addresses(p *pool.Pool) (all []string) {
	for _, i := range p.Snapshot().Instances {
		all = append(all, i.Address)
	}
	slices.Sort(all)
	return all
}

// TestANameIsLookedUpAgain: instances come and go with its records, and stay when it cannot be looked up.
func TestANameIsLookedUpAgain(t *testing.T) {
	t.Parallel()
	a := newBackend(t, nil)
	_, port, err := net.SplitHostPort(a.addr)
	require.NoError(t, err)
	records := &names{addresses: map[string][]netip.Addr{}, services: map[string][]*net.SRV{}}
	at := func(host string) string { return net.JoinHostPort(host, port) }
	p, registry := openCounted(t, true, func(c *pool.Config) {
		c.Targets, err = pool.ParseTargets([]string{"dns+http://bill:" + port})
		require.NoError(t, err)
		c.Resolver, c.LookupEvery = records, 10*time.Millisecond
	})
	require.Empty(t, addresses(p))
	records.set("bill", "127.0.0.1", "127.0.0.2")
	eventually(t, func() bool { return slices.Equal(addresses(p), []string{at("127.0.0.1"), at("127.0.0.2")}) }, "both")
	_, _, err = send(t, p, http.MethodGet, time.Minute)
	require.NoError(t, err)
	records.set("bill", "127.0.0.1")
	eventually(t, func() bool { return slices.Equal(addresses(p), []string{at("127.0.0.1")}) }, "one went")
	require.Zero(t, metric(t, registry, "gateway_upstream_requests_total", at("127.0.0.2")))
	records.set("bill")
	served := a.served.Load()
	for range 20 {
		_, _, err = send(t, p, http.MethodGet, time.Minute)
		require.NoError(t, err, "the last good records are kept")
	}
	require.Equal(t, served+20, a.served.Load())
}

func TestServiceRecordsNameTheirPorts(t *testing.T) {
	t.Parallel()
	a := newBackend(t, nil)
	_, port, err := net.SplitHostPort(a.addr)
	require.NoError(t, err)
	n, err := strconv.ParseUint(port, 10, 16)
	require.NoError(t, err)
	records := &names{addresses: map[string][]netip.Addr{}, services: map[string][]*net.SRV{
		"_http._tcp.bill": {{Target: "pod-1.bill.", Port: uint16(n)}},
	}}
	records.set("pod-1.bill", "127.0.0.1")
	p := open(t, false, func(c *pool.Config) {
		c.Targets, err = pool.ParseTargets([]string{"dns+srv+http://_http._tcp.bill"})
		require.NoError(t, err)
		c.Resolver = records
	})
	require.Equal(t, []string{a.addr}, addresses(p))
	_, _, err = send(t, p, http.MethodGet, time.Minute)
	require.NoError(t, err)
}

// TestACertificateIsForTheName, not for the address that the name has.
func TestACertificateIsForTheName(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = slog.NewLogLogger(silent().Handler(), slog.LevelDebug) // handshakes fail on purpose
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	require.NoError(t, err)
	trust, ok := srv.Client().Transport.(*http.Transport)
	require.True(t, ok)
	records := &names{addresses: map[string][]netip.Addr{}}
	for name, fails := range map[string]bool{"example.com": false, "other.com": true} {
		records.set(name, "127.0.0.1")
		p := open(t, false, func(c *pool.Config) {
			c.Targets, err = pool.ParseTargets([]string{"dns+https://" + name + ":" + port})
			require.NoError(t, err)
			c.Resolver = records
			c.DialTLS = func(ctx context.Context, network, address, name string) (net.Conn, error) {
				dialer := tls.Dialer{Config: &tls.Config{
					RootCAs: trust.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS13, ServerName: name,
				}}
				return dialer.DialContext(ctx, network, address)
			}
		})
		_, _, err := send(t, p, http.MethodGet, time.Minute)
		require.Equal(t, fails, err != nil, "%s: %v", name, err)
	}
}
