package internalclient_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/ports"
)

// records are a name server whose SRV records the test changes; every target is this machine.
type records struct {
	mu    sync.Mutex
	ports []uint16
	away  bool
}

func (r *records) set(t *testing.T, urls ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ports = nil
	for _, u := range urls {
		_, port, err := net.SplitHostPort(u[strings.LastIndex(u, "/")+1:])
		require.NoError(t, err)
		n, err := strconv.ParseUint(port, 10, 16)
		require.NoError(t, err)
		r.ports = append(r.ports, uint16(n))
	}
}

func (r *records) fail(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

func (r *records) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return "", nil, errors.New("server misbehaving")
	}
	var all []*net.SRV
	for _, p := range r.ports {
		all = append(all, &net.SRV{Target: "example.com.", Port: p})
	}
	return "", all, nil
}

func (r *records) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func at(url string) operations.Instance {
	return operations.Instance{Service: service, Name: url[strings.LastIndex(url, "/")+1:]}
}

// TestInstancesComeAndGo: what is listed follows the name server, with no restart.
func TestInstancesComeAndGo(t *testing.T) {
	t.Parallel()
	asked := 0
	first := internal(t, "s3cret", operations.Status{Service: service})
	second := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_, _ = w.Write([]byte(`{"service":"bill-inquiry"}`))
	}))
	names, now := &records{}, said
	var missed []string
	l, err := internalclient.NewServices(internalclient.Access{
		Token: personal.NewSecret("s3cret"), Resolver: names, Now: func() time.Time { return now },
		NotFound: func(_ context.Context, service, name string, _ error) { missed = append(missed, service+" "+name) },
	}, internalclient.Service{Name: service, Origins: []string{"dns+srv+http://_http._tcp.bill"}})
	require.NoError(t, err)
	require.True(t, l.HasNames())
	missing := operations.Instance{Service: service, Name: "_http._tcp.bill"}
	require.Equal(t, []operations.Instance{missing}, l.All(t.Context()), "the name stands for what it does not lead to")
	_, err = l.Status(t.Context(), missing)
	require.Error(t, err)
	require.Equal(t, []string{"bill-inquiry _http._tcp.bill"}, missed)

	names.set(t, first)
	require.Equal(t, []operations.Instance{at(first)}, l.All(t.Context()))
	names.set(t, first, second)
	require.ElementsMatch(t, []operations.Instance{at(first), at(second)}, l.All(t.Context()), "one came")
	for _, i := range l.All(t.Context()) {
		_, err = l.Status(t.Context(), i)
		require.NoError(t, err)
	}
	require.Equal(t, 1, asked)

	names.set(t, first)
	now = said.Add(time.Minute)
	require.Equal(t, []operations.Instance{at(first), at(second)}, l.All(t.Context()), "one went, and is listed yet")
	_, err = l.Status(t.Context(), at(second))
	var gone *ports.GoneError
	require.ErrorAs(t, err, &gone)
	require.Equal(t, said, gone.Since)
	require.Equal(t, 1, asked, "what has gone is not sent the token")

	names.fail(true)
	now = said.Add(4 * time.Minute)
	require.Equal(t, []operations.Instance{at(first), at(second)}, l.All(t.Context()), "the name server is away")
	_, err = l.Status(t.Context(), at(first))
	require.NoError(t, err)
	now = said.Add(5*time.Minute + time.Second)
	require.Equal(t, []operations.Instance{at(first)}, l.All(t.Context()), "five minutes are over")
	_, err = l.Status(t.Context(), at(second))
	require.Error(t, err)

	names.fail(false)
	names.set(t, second)
	require.Equal(t, []operations.Instance{at(second), at(first)}, l.All(t.Context()), "it is back, the other one went")
	_, err = l.Status(t.Context(), at(second))
	require.NoError(t, err)
}

// TestWhatHasGoneIsAskedForNothing: questions about the service's data go to those that are there.
func TestWhatHasGoneIsAskedForNothing(t *testing.T) {
	t.Parallel()
	stranger := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	page := serve(t, answering(http.StatusOK, `{"total":0,"items":[]}`))
	names := &records{}
	l, err := internalclient.NewServices(internalclient.Access{Resolver: names},
		internalclient.Service{Name: service, Origins: []string{"dns+srv+http://_http._tcp.bill"}})
	require.NoError(t, err)
	names.set(t, stranger)
	require.Len(t, l.All(t.Context()), 1)
	names.set(t, page)
	_, _, err = l.ParkedChanges(service).List(t.Context(), 1, 20)
	require.NoError(t, err)
}

// TestACertificateIsForTheNameThatTheInstanceWasFoundBy, not for its address.
func TestACertificateIsForTheNameThatTheInstanceWasFoundBy(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(answering(http.StatusOK, `{"service":"bill-inquiry"}`))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) // a handshake fails on purpose
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	names := &records{}
	names.set(t, srv.URL)
	var asked []string
	l, err := internalclient.NewServices(internalclient.Access{
		Resolver: names,
		DialTLS: func(ctx context.Context, network, address, name string) (net.Conn, error) {
			asked = append(asked, address+" as "+name)
			dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS13}}
			return dialer.DialContext(ctx, network, address)
		},
	}, internalclient.Service{Name: service, Origins: []string{"dns+srv+https://_http._tcp.bill"}})
	require.NoError(t, err)
	found := l.All(t.Context())
	_, err = l.Status(t.Context(), found[0])
	require.NoError(t, err)
	require.Equal(t, []string{found[0].Name + " as example.com"}, asked)

	plain, err := internalclient.NewServices(internalclient.Access{Resolver: names},
		internalclient.Service{Name: service, Origins: []string{"dns+srv+https://_http._tcp.bill"}})
	require.NoError(t, err)
	_, err = plain.Status(t.Context(), plain.All(t.Context())[0])
	require.ErrorContains(t, err, "certificate", "the system's roots do not know it")
}
