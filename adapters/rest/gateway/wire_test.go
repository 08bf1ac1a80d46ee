package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/middleware"
	"phonebill/openapi"
)

// head begins a bill inquiry on the wire.
const head = "POST /api/v1/bills/inquiry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n" +
	"Content-Type: application/json\r\n"

// post sends a bill inquiry with the body through the proxy to a service that reads it all, and returns the gateway's
// answer.
func post(ctx context.Context, t *testing.T, body io.Reader, length int64) *httptest.ResponseRecorder {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(srv.Close)
	req := httptest.NewRequest(http.MethodPost, "/api/v1/bills/inquiry", body).WithContext(ctx)
	req.ContentLength = length
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer good")
	rec := httptest.NewRecorder()
	proxied(t, srv.URL).ServeHTTP(rec, req)
	return rec
}

// broken fails after its text, as net/http's body does after a malformed chunk or a lost client.
type broken struct {
	io.Reader
	err error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.err
	}
	return n, err
}

// TestTroubleWithTheClientsBodyIsTheClients: a body that is broken or late is no trouble of the service behind the
// gateway.
func TestTroubleWithTheClientsBodyIsTheClients(t *testing.T) {
	t.Parallel()
	malformed := broken{strings.NewReader(`{"lineNumber"`), errors.New("invalid byte in chunk length")}
	rec := post(t.Context(), t, malformed, -1)
	require.Equal(t, http.StatusBadRequest, rec.Code)
	require.Contains(t, rec.Body.String(), `"field":"body"`)

	rec = post(t.Context(), t, broken{strings.NewReader("{"), io.ErrUnexpectedEOF}, 100)
	require.Equal(t, http.StatusBadRequest, rec.Code)

	require.Equal(t, http.StatusNoContent, post(t.Context(), t, strings.NewReader("{}"), -1).Code)
}

// TestALateBodyIsTheClients: when the time of a request is over and its body is not there, the answer comes at once
// and blames the client, at the gateway and at a service.
func TestALateBodyIsTheClients(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }),
	)
	t.Cleanup(upstream.Close)
	door := httptest.NewServer(proxied(t, upstream.URL))
	t.Cleanup(door.Close)
	for name, length := range map[string]string{"sized": "Content-Length: 100", "chunked": "Transfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []int{
				http.StatusRequestTimeout,
			}, converse(t, door.Listener.Addr().String(), head+length+"\r\n\r\n"))
		})
	}
}

// TestAServiceThatDoesNotAnswerIsNotTheClients: a body that was read whole does not make a timeout the client's.
func TestAServiceThatDoesNotAnswerIsNotTheClients(t *testing.T) {
	t.Parallel()
	full, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts nothing
	require.NoError(t, err)
	t.Cleanup(func() { _ = full.Close() })
	late, cancel := context.WithTimeout(t.Context(), 2*time.Second) // enough to connect and send on a busy machine
	defer cancel()
	req := httptest.NewRequest(http.MethodPost, "/api/v1/bills/inquiry", strings.NewReader("{}")).WithContext(late)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer good")
	rec := httptest.NewRecorder()
	proxied(t, "http://"+full.Addr().String()).ServeHTTP(rec, req)
	require.Equal(t, http.StatusGatewayTimeout, rec.Code)
	require.Contains(t, rec.Body.String(), "이력에서 결과를 확인", "it may have happened")
}

// TestARefusalDoesNotWaitForTheBody: a client that is refused before its body is read gets the refusal at once.
func TestARefusalDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	door := httptest.NewServer(newGateway(t, config()))
	t.Cleanup(door.Close)
	refused := strings.Replace(head, "Bearer good", "Bearer other", 1) + "Content-Length: 100\r\n\r\n{"
	require.Equal(t, []int{http.StatusForbidden}, converse(t, door.Listener.Addr().String(), refused))
}

// TestEachHeaderIsSentOnce: the service behind the gateway sets the same security headers, since it may be reached
// without a gateway too.
func TestEachHeaderIsSentOnce(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{"": "no-store", "public, max-age=300": "public, max-age=300"} {
		answer := middleware.Secure(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Request-Id", "the service's")
			if said != "" {
				w.Header().Set("Cache-Control", said)
			}
		}))
		srv := httptest.NewServer(answer)
		t.Cleanup(srv.Close)
		res := send(proxied(t, srv.URL), http.MethodGet, "/api/v1/bills/menu", "good")
		require.Equal(t, http.StatusOK, res.StatusCode)
		for name, values := range res.Header {
			require.Len(t, values, 1, name)
		}
		require.Equal(t, want, res.Header.Get("Cache-Control"))
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
		require.NotEqual(t, "the service's", res.Header.Get("X-Request-Id"))
	}
}

// converse sends raw bytes and returns the statuses of all answers until the server closes the connection.
func converse(t *testing.T, addr, request string) (statuses []int) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	for r := bufio.NewReader(conn); ; {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err), "not closed: %v", err)
			return statuses
		}
		_, _ = io.Copy(io.Discard, res.Body)
		statuses = append(statuses, res.StatusCode)
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// TestAChunkedRequestIsTheLastOfItsConnection: what follows a request with both Content-Length and Transfer-Encoding
// is never taken for a request, at the gateway and at a service.
func TestAChunkedRequestIsTheLastOfItsConnection(t *testing.T) {
	t.Parallel()
	const smuggled = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(upstream.Close)
	door := httptest.NewServer(middleware.CloseAfterChunked(proxied(t, upstream.URL)))
	t.Cleanup(door.Close)
	addr := door.Listener.Addr().String()

	both := head + "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
	require.Equal(t, []int{http.StatusNoContent}, converse(t, addr, both+smuggled))
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
	require.Equal(t, []int{http.StatusNoContent}, converse(t, addr, chunked+smuggled))
	refused := strings.Replace(both, "Bearer good", "Bearer other", 1)
	require.Equal(t, []int{http.StatusForbidden}, converse(t, addr, refused+smuggled), "also when the body was not read")

	old := strings.Replace(both, "HTTP/1.1", "HTTP/1.0", 1)
	old = strings.Replace(old, "Host: x", "Host: x\r\nConnection: keep-alive", 1)
	require.Len(
		t, converse(t, addr, old+smuggled), 1, "HTTP/1.0 knows no chunks, and net/http does not tell that there were any",
	)

	sized := head + "Content-Length: 2\r\n\r\n{}"
	last := strings.Replace(smuggled, "Host", "Connection: close\r\nHost", 1)
	require.Equal(t, []int{
		http.StatusNoContent, http.StatusOK,
	}, converse(t, addr, sized+last), "other connections are kept")
}

// TestTheClientBehindABalancer: the services hear the address that the balancer saw, and nothing of what the client
// claims.
func TestTheClientBehindABalancer(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	srv := httptest.NewServer(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("X-Forwarded-For") }),
	)
	t.Cleanup(srv.Close)
	for network, want := range map[string]string{"192.0.2.0/24": "203.0.113.8", "198.51.100.0/24": "192.0.2.1"} {
		c := config()
		c.Bill, c.Clients.Trusted = proxy(t, openapi.Bill, srv.URL), []netip.Prefix{netip.MustParsePrefix(network)}
		req := httptest.NewRequest(http.MethodGet, "/api/v1/bills/menu", http.NoBody) // from 192.0.2.1
		req.Header.Set("Authorization", "Bearer good")
		req.Header.Set("X-Forwarded-For", "6.6.6.6, 203.0.113.8:51234")
		newGateway(t, c).ServeHTTP(httptest.NewRecorder(), req)
		require.Equal(t, want, <-seen, network)
	}
}
