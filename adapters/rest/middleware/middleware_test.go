package middleware_test

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/middleware"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func identified(t *testing.T, headers ...string) (ports.Trace, *http.Request, http.Header) {
	t.Helper()
	var seen *http.Request
	h := middleware.Trace(func() id.ID { return id.ID{1} })(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }),
	)
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return ports.TraceOf(seen.Context()), seen, rec.Header()
}

func TestRequestIDIsAcceptedOrMadeAndEchoed(t *testing.T) {
	t.Parallel()
	made := id.ID{1}.String()
	for sent, want := range map[string]string{
		"abc-1._Z": "abc-1._Z", strings.Repeat("a", 64): strings.Repeat("a", 64),
		"": made, strings.Repeat("a", 65): made, "a b": made, "a\nb": made, "한글": made, `"><script>`: made,
	} {
		trace, req, answered := identified(t, "X-Request-Id", sent)
		require.Equal(t, want, trace.RequestID)
		require.Equal(t, want, req.Header.Get("X-Request-Id"))
		require.Equal(t, want, answered.Get("X-Request-Id"))
	}
}

func TestTraceparentIsAcceptedOrMade(t *testing.T) {
	t.Parallel()
	trace, req, _ := identified(t, "Traceparent", valid, "Tracestate", "a=b")
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", trace.TraceID)
	require.NotEqual(t, "00f067aa0ba902b7", trace.SpanID, "a hop has a span of its own")
	require.Equal(t, trace.Traceparent(), req.Header.Get("Traceparent"))
	require.Equal(t, "a=b", req.Header.Get("Tracestate"))
	for _, bad := range []string{
		"", "x", "ff" + valid[2:], strings.ToUpper(valid), valid + "-extra",
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-" + strings.Repeat("0", 16) + "-01",
	} {
		trace, req, _ := identified(t, "Traceparent", bad, "Tracestate", "a=b")
		require.NotEqual(t, "4bf92f3577b34da6a3ce929d0e0e4736", trace.TraceID, bad)
		require.Regexp(t, "^[0-9a-f]{32}$", trace.TraceID)
		require.Empty(t, req.Header.Get("Tracestate"))
	}
	trace, _, _ = identified(t, "Traceparent", "01"+valid[2:]+"-later")
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", trace.TraceID, "a later version may append")
	require.Empty(t, ports.Trace{}.Traceparent())
}

func TestTheClientIsTheRightmostUntrustedHop(t *testing.T) {
	t.Parallel()
	gateway := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for name, c := range map[string]struct{ peer, header, says, ip string }{
		"outsider":             {"203.0.113.9:1", "", "1.2.3.4", "203.0.113.9"},
		"gateway":              {"10.0.0.1:1", "", "1.2.3.4", "1.2.3.4"},
		"gateway, forged hop":  {"10.0.0.1:1", "", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"},
		"forged private hop":   {"10.0.0.1:1", "", "10.6.6.6, 1.2.3.4", "1.2.3.4"},
		"gateway, only inner":  {"10.0.0.1:1", "", "10.0.0.2", "10.0.0.2"},
		"gateway, garbage":     {"10.0.0.1:1", "", "1.2.3.4, x", "10.0.0.1"},
		"garbage further left": {"10.0.0.1:1", "", "x, 1.2.3.4", "1.2.3.4"},
		"garbage then trusted": {"10.0.0.1:1", "", "1.2.3.4, x, 10.0.0.2", "10.0.0.2"},
		"an empty hop":         {"10.0.0.1:1", "", "1.2.3.4,", "10.0.0.1"},
		"with a port":          {"10.0.0.1:1", "", "6.6.6.6, 203.0.113.8:51234", "203.0.113.8"},
		"trusted with a port":  {"10.0.0.1:1", "", "203.0.113.8:51234, 10.0.0.2:443", "203.0.113.8"},
		"ipv6 with a port":     {"10.0.0.1:1", "", "[2001:db8::1]:443", "2001:db8::1"},
		"ipv6 in brackets":     {"10.0.0.1:1", "", "[2001:db8::1]", "2001:db8::1"},
		"ipv6 with a zone":     {"10.0.0.1:1", "", "fe80::1%eth0", "fe80::1"},
		"mapped with a port":   {"10.0.0.1:1", "", "[::ffff:203.0.113.8]:9", "203.0.113.8"},
		"a name with a port":   {"10.0.0.1:1", "", "somebody:80", "10.0.0.1"},
		"ipv6 gateway":         {"[::1]:1", "", "2001:db8::1", "2001:db8::1"},
		"mapped":               {"[::ffff:10.0.0.1]:1", "", "1.2.3.4", "1.2.3.4"},
		"unreadable remote":    {"pipe", "", "1.2.3.4", "invalid IP"},
		"gateway said nothing": {"10.0.0.1:1", "", "", "10.0.0.1"},

		"RFC 7239":                {"10.0.0.1:1", "Forwarded", "for=1.2.3.4;proto=https;by=10.0.0.1", "1.2.3.4"},
		"RFC 7239, order, case":   {"10.0.0.1:1", "Forwarded", "proto=https; For=1.2.3.4", "1.2.3.4"},
		"RFC 7239, forged hop":    {"10.0.0.1:1", "Forwarded", "for=6.6.6.6, for=1.2.3.4, for=10.0.0.2", "1.2.3.4"},
		"RFC 7239, ipv6":          {"10.0.0.1:1", "Forwarded", `for="[2001:db8::1]:4711"`, "2001:db8::1"},
		"RFC 7239, obfuscated":    {"10.0.0.1:1", "Forwarded", "for=1.2.3.4, for=_hidden", "10.0.0.1"},
		"RFC 7239, unknown":       {"10.0.0.1:1", "Forwarded", "for=unknown", "10.0.0.1"},
		"RFC 7239, no node":       {"10.0.0.1:1", "Forwarded", "for=1.2.3.4, proto=https", "10.0.0.1"},
		"RFC 7239, from outside":  {"203.0.113.9:1", "Forwarded", "for=1.2.3.4", "203.0.113.9"},
		"RFC 7239, a quoted list": {"10.0.0.1:1", "Forwarded", `for="1.2.3.4, 5.6.7.8"`, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.RemoteAddr = c.peer
			for _, header := range []string{"X-Forwarded-For", "Forwarded"} {
				req.Header.Set(header, "6.6.6.6") // what the proxy did not write must not count
			}
			req.Header.Set(cmp.Or(c.header, "X-Forwarded-For"), c.says)
			req.Header.Set("User-Agent", strings.Repeat("u", 300))
			how := middleware.Clients{Trusted: gateway, Header: c.header}
			middleware.ResolveClient(how)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				require.Equal(t, c.ip, middleware.ClientOf(r.Context()).IP)
				require.Len(t, middleware.ClientOf(r.Context()).UserAgent, 256)
			})).ServeHTTP(httptest.NewRecorder(), req)
		})
	}
}

func TestSeveralFieldsAreOneList(t *testing.T) {
	t.Parallel()
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.RemoteAddr = "10.0.0.1:1"
	req.Header["X-Forwarded-For"] = []string{"6.6.6.6", "1.2.3.4, 10.0.0.9"}
	how := middleware.Clients{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	middleware.ResolveClient(how)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Equal(t, "1.2.3.4", middleware.ClientOf(r.Context()).IP)
	})).ServeHTTP(httptest.NewRecorder(), req)
}

// TestWhatACallerClaimsIsRemoved: from trusted and other peers alike, since nothing behind ResolveClient reads it.
func TestWhatACallerClaimsIsRemoved(t *testing.T) {
	t.Parallel()
	for _, peer := range []string{"203.0.113.9:1", "10.0.0.1:1"} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.RemoteAddr = peer
		removed := []string{
			"X-User-Id", "X-User-Roles", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip",
			"X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override",
			"Connection", "Keep-Alive", "Te", "Proxy-Authorization", "X-Listed", "Authorization",
		}
		for _, name := range removed {
			req.Header.Set(name, "1.2.3.4")
		}
		req.Header.Set("Connection", "close, x-listed, AUTHORIZATION, x-request-id")
		kept := []string{"Accept", "X-Request-Id", "X-Service-Credential", "Upgrade"}
		for _, name := range kept {
			req.Header.Set(name, "x")
		}
		how := middleware.Clients{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
		middleware.ResolveClient(how)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for _, name := range removed {
				require.Empty(t, r.Header.Get(name), name)
			}
			for _, name := range kept {
				require.NotEmpty(t, r.Header.Get(name), name)
			}
		})).ServeHTTP(httptest.NewRecorder(), req)
	}
}

// TestAClientCannotHaveTheProxysHeaderIgnored: a Connection header that names X-Forwarded-For would make the proxy the
// client.
func TestAClientCannotHaveTheProxysHeaderIgnored(t *testing.T) {
	t.Parallel()
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.RemoteAddr = "10.0.0.1:1"
	req.Header.Set("Connection", "close, X-Forwarded-For")
	req.Header.Set("X-Forwarded-For", "1.2.3.4")
	how := middleware.Clients{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	middleware.ResolveClient(how)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Equal(t, "1.2.3.4", middleware.ClientOf(r.Context()).IP)
	})).ServeHTTP(httptest.NewRecorder(), req)
}

// TestAServiceIsIdentified: the client is the one for whom it calls, and a wrong credential is refused inside the
// observation of requests, not before.
func TestAServiceIsIdentified(t *testing.T) {
	t.Parallel()
	how := middleware.Clients{Identify: func(_ context.Context, seen auth.Client, h http.Header) (auth.Client, error) {
		if h.Get("X-Service-Credential") != "good" {
			return auth.Client{}, fault.New(fault.Unauthorized)
		}
		seen.Service, seen.IP = "ap", "1.2.3.4"
		return seen, nil
	}}
	var seen auth.Client
	fail := func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusUnauthorized)
	}
	h := middleware.ResolveClient(how)(middleware.RefuseUnidentified(fail)(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = middleware.ClientOf(r.Context()) })))
	for credential, status := range map[string]int{"good": http.StatusOK, "bad": http.StatusUnauthorized} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("X-Service-Credential", credential)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		require.Equal(t, status, rec.Code)
	}
	require.Equal(t, auth.Client{IP: "1.2.3.4", Service: "ap"}, seen)
}

// TestAGatewayInTheSameProcessIsBelieved: it knows the proxies before it, the service behind it only sees the same
// peer.
func TestAGatewayInTheSameProcessIsBelieved(t *testing.T) {
	t.Parallel()
	balancer := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.RemoteAddr = "10.0.0.5:1"
	req.Header.Set("X-Forwarded-For", "203.0.113.8:51234")
	service := middleware.ResolveClient(middleware.Clients{})(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			require.Equal(t, "203.0.113.8", middleware.ClientOf(r.Context()).IP)
		}))
	middleware.ResolveClient(middleware.Clients{Trusted: balancer})(service).ServeHTTP(httptest.NewRecorder(), req)
}

func observed(t *testing.T, h http.Handler, method string) (*bytes.Buffer, *prometheus.Registry, http.Handler) {
	t.Helper()
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	m, err := middleware.NewMetrics(registry)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(method+" /things/{name}", h)
	now := time.Unix(0, 0)
	clock := func() time.Time { now = now.Add(5 * time.Millisecond); return now }
	fail := func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusInternalServerError) }
	return &log, registry, middleware.Observe(m, slog.New(slog.NewJSONHandler(&log, nil)), clock)(
		middleware.Recover(fail)(mux),
	)
}

func TestObserveNamesTheRouteAndNothingPersonal(t *testing.T) {
	t.Parallel()
	log, registry, h := observed(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
		require.NoError(t, http.NewResponseController(w).Flush(), "flushing reaches the real writer")
	}), "BREW")
	h.ServeHTTP(
		httptest.NewRecorder(),
		httptest.NewRequest("BREW", "/things/01012345678?q=01012345678", strings.NewReader("01012345678")),
	)
	require.NotContains(t, log.String(), "01012345678")
	require.Contains(t, log.String(), `"route":"BREW /things/{name}","status":418,"ms":5`)
	families, err := registry.Gather()
	require.NoError(t, err)
	text := families[0].String()
	for _, label := range []string{`"OTHER"`, `"4xx"`, `"BREW /things/{name}"`} {
		require.Contains(t, text, label)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/elsewhere", nil))
	require.Contains(t, log.String(), `"route":"unmatched","status":404`)
}

func TestPanicAfterTheAnswerBeganBreaksTheConnection(t *testing.T) {
	t.Parallel()
	_, _, h := observed(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("late")
	}), "GET")
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/things/x", nil))
	})
	_, _, h = observed(
		t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "GET",
	)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/things/x", nil))
	})
}

func TestSecureHeaders(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	middleware.Secure(http.NotFoundHandler()).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	for name, value := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
		"Referrer-Policy": "no-referrer",
	} {
		require.Equal(t, value, rec.Header().Get(name))
	}
}

// TestALateBodyEndsWithTheRequestsTime: a service that reads a body does not wait for a client that stops sending.
func TestALateBodyEndsWithTheRequestsTime(t *testing.T) {
	t.Parallel()
	read := make(chan error, 1)
	fail := func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusInternalServerError) }
	service := middleware.Limit(middleware.BodyLimit, fail)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
	}))
	srv := httptest.NewServer(middleware.Deadline(50*time.Millisecond, nil)(service))
	t.Cleanup(srv.Close)
	endless, client := io.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, endless)
	require.NoError(t, err)
	go func() {
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}()
	require.ErrorIs(t, <-read, os.ErrDeadlineExceeded)
}
