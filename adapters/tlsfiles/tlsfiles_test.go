package tlsfiles_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/tlsfiles"
	"phonebill/adapters/tlsfiles/devca"
)

// house is an authority and the files that it issued.
type house struct {
	ca  *devca.Authority
	dir string
}

func newHouse(t *testing.T) house {
	t.Helper()
	h := house{dir: t.TempDir()}
	var err error
	h.ca, err = devca.Open(h.dir, time.Now())
	require.NoError(t, err)
	return h
}

func (h house) files(t *testing.T, name string, hosts ...string) (*tlsfiles.Files, tlsfiles.Paths) {
	t.Helper()
	p, err := h.ca.Issue(name, time.Now(), hosts...)
	require.NoError(t, err)
	f, err := tlsfiles.Open(p, time.Now())
	require.NoError(t, err)
	return f, p
}

// serve answers with the common name of the client's certificate, on a port of loopback.
func serve(t *testing.T, c *tls.Config) (address string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.VerifiedChains) > 0 {
			name = r.TLS.VerifiedChains[0][0].Subject.CommonName
		}
		_, _ = io.WriteString(w, r.Proto+" "+name)
	}))
	srv.TLS, srv.EnableHTTP2 = c, true
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func get(t *testing.T, f *tlsfiles.Files, url string) (string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialTLSContext: f.Dial}}
	t.Cleanup(client.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { require.NoError(t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

func TestBothSidesShowTheirCertificates(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	server, _ := h.files(t, "bill", "127.0.0.1")
	client, _ := h.files(t, "gateway", "gateway.internal")
	address := serve(t, server.Server())
	got, err := get(t, client, "https://"+address)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 gateway", got)

	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	_, err = get(t, client, "https://localhost:"+port)
	require.ErrorContains(t, err, "localhost", "the certificate is of another name")

	stranger, _ := newHouse(t).files(t, "gateway", "127.0.0.1")
	_, err = get(t, stranger, "https://"+address)
	require.Error(t, err, "neither believes the other's authority")
	elsewhere, _ := newHouse(t).files(t, "bill", "127.0.0.1")
	_, err = get(t, client, "https://"+serve(t, elsewhere.Server()))
	require.ErrorContains(t, err, "unknown authority")
}

func TestAListenerOfOldVersionsIsNone(t *testing.T) {
	t.Parallel()
	server, _ := newHouse(t).files(t, "gateway", "127.0.0.1")
	address := serve(t, server.Server())
	connect := func(c *tls.Config) error {
		c.InsecureSkipVerify = true
		conn, err := (&tls.Dialer{Config: c}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	require.ErrorContains(t, connect(&tls.Config{MaxVersion: tls.VersionTLS12}), "protocol version")
	require.Error(t, connect(&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}}))
	for _, curve := range []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256} {
		require.NoError(t, connect(&tls.Config{CurvePreferences: []tls.CurveID{curve}}))
	}
}

// TestCertificatesAreRenewedWithoutARestart: half of a renewal, or a wrong one, leaves the old certificate in use.
func TestCertificatesAreRenewedWithoutARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	server, p := h.files(t, "gateway", "127.0.0.1")
	address := serve(t, server.Server())
	serial := func() string {
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close()) }()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	changed, err := server.Reload(time.Now())
	require.NoError(t, err)
	require.False(t, changed)

	next, err := h.ca.Issue("next", time.Now(), "127.0.0.1")
	require.NoError(t, err)
	move(t, next.Cert, p.Cert)
	_, err = server.Reload(time.Now())
	require.ErrorContains(t, err, p.Cert, "the key is still the old one")
	require.Equal(t, first, serial())
	move(t, next.Key, p.Key)
	changed, err = server.Reload(time.Now())
	require.NoError(t, err)
	require.True(t, changed)
	require.NotEqual(t, first, serial())

	require.NoError(t, os.WriteFile(p.Cert, []byte("rubbish"), 0o600))
	_, err = server.Reload(time.Now())
	require.Error(t, err)
	require.NoError(t, os.Remove(p.Cert))
	_, err = server.Reload(time.Now())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NotEqual(t, first, serial())
}

func move(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, content, 0o600))
}

func TestWrongFilesStopTheStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, p := h.files(t, "gateway", "127.0.0.1")
	_, err := tlsfiles.Open(p, time.Now().AddDate(2, 0, 0))
	require.ErrorContains(t, err, "is valid from")
	_, err = tlsfiles.Open(tlsfiles.Paths{Cert: p.Cert, Key: filepath.Join(h.dir, "nowhere")}, time.Now())
	require.ErrorContains(t, err, "nowhere")
	_, err = tlsfiles.Open(tlsfiles.Paths{Cert: p.Cert, Key: p.Key, CA: p.Key}, time.Now())
	require.ErrorContains(t, err, "holds no certificate")
}
