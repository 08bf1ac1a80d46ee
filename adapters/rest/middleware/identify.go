// Package middleware has what every request passes first, in the gateway and in each service: it assigns ids, removes
// forged identity headers, limits body and time, logs and counts, and turns panics into answers. rest.Chain puts the
// parts in order.
package middleware

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"phonebill/core/auth"
	"phonebill/ports"
)

var (
	requestIDPattern   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	traceparentPattern = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$`)
)

// Trace accepts or creates X-Request-ID, which it echoes, and the W3C trace, and puts both into the context
// (ports.TraceOf). The request passed on carries them as headers, so that a proxy hands them to the next hop.
func Trace(ids ports.IDs) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t := ports.Trace{RequestID: r.Header.Get("X-Request-Id"), TraceID: traceID(r), SpanID: randomHex(8)}
			if !requestIDPattern.MatchString(t.RequestID) {
				t.RequestID = ids().String()
			}
			r = r.WithContext(ports.WithTrace(r.Context(), t))
			r.Header.Set("X-Request-Id", t.RequestID)
			r.Header.Set("Traceparent", t.Traceparent())
			w.Header().Set("X-Request-Id", t.RequestID)
			next.ServeHTTP(w, r)
		})
	}
}

// traceID returns the caller's trace id when its traceparent is valid by W3C Trace Context, else a new one.
func traceID(r *http.Request) string {
	m := traceparentPattern.FindStringSubmatch(r.Header.Get("Traceparent"))
	valid := m != nil && m[1] != "ff" && (m[1] != "00" || m[4] == "") &&
		strings.Trim(m[2], "0") != "" && strings.Trim(m[3], "0") != ""
	if !valid {
		r.Header.Del("Tracestate")
		return randomHex(16)
	}
	return m[2]
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return hex.EncodeToString(b)
}

type clientKey struct{}

// ClientOf returns where the request of ctx came from, as ResolveClient determined it.
func ClientOf(ctx context.Context) auth.Client {
	c, _ := ctx.Value(clientKey{}).(auth.Client)
	return c
}

// ResolveClient removes the headers by which a caller could claim another identity: X-User-* from every caller,
// X-Forwarded-*, Forwarded and X-Real-IP from peers that are not trusted. It puts the caller's address and device into
// the context.
func ResolveClient(trusted []netip.Prefix) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ClientOf(r.Context()) != (auth.Client{}) { // a gateway in the same process has resolved it
				next.ServeHTTP(w, r)
				return
			}
			peer := peerOf(r)
			believed := contains(trusted, peer)
			for name := range r.Header {
				lower := strings.ToLower(name)
				forged := strings.HasPrefix(lower, "x-user-") || !believed &&
					(strings.HasPrefix(lower, "x-forwarded-") || lower == "forwarded" || lower == "x-real-ip")
				if forged {
					delete(r.Header, name)
				}
			}
			ip := peer
			if believed {
				ip = forwardedFor(r, trusted, peer)
			}
			c := auth.Client{IP: ip.String(), UserAgent: clip(r.UserAgent(), 256)}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, c)))
		})
	}
}

// forwardedFor returns the last address of X-Forwarded-For that is not a trusted peer's own.
func forwardedFor(r *http.Request, trusted []netip.Prefix, peer netip.Addr) netip.Addr {
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(hops[i])
		if !ok {
			return peer
		}
		peer = hop
		if !contains(trusted, peer) {
			return peer
		}
	}
	return peer
}

// parseHop reads an address of X-Forwarded-For, with or without a port: some load balancers (Azure's among them)
// write 203.0.113.8:51234 and [2001:db8::1]:443.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().WithZone("").Unmap(), true
	}
	if bare, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(bare, "]") {
		s = strings.TrimSuffix(bare, "]")
	}
	addr, err := netip.ParseAddr(s)
	return addr.WithZone("").Unmap(), err == nil
}

func peerOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, _ := netip.ParseAddr(host) // the zero Addr belongs to no prefix
	return addr.Unmap()
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}
