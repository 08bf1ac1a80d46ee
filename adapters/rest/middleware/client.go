package middleware

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"phonebill/core/auth"
)

// ForwardedFor and Forwarded are the headers in which a proxy says for whom it calls: the one that all proxies write,
// and that of RFC 7239.
const (
	ForwardedFor = "X-Forwarded-For"
	Forwarded    = "Forwarded"
)

// Clients is how a listener finds out who is calling.
type Clients struct {
	// Trusted are the networks of the proxies before the listener. Nothing that another peer says of itself is believed.
	Trusted []netip.Prefix
	// Header is the one header that the trusted proxies write; empty means ForwardedFor. The other one is ignored: a
	// proxy passes on what its client says there.
	Header string
	// Identify recognises a system that calls for its users and returns the client for whom it calls; nil recognises
	// none. With an error the request is refused by RefuseUnidentified.
	Identify func(ctx context.Context, seen auth.Client, h http.Header) (auth.Client, error)
}

type clientKey struct{}

// resolved is what ResolveClient found out about a request.
type resolved struct {
	client  auth.Client
	refused error
}

// ClientOf returns where the request of ctx came from, as ResolveClient determined it.
func ClientOf(ctx context.Context) auth.Client {
	r, _ := ctx.Value(clientKey{}).(resolved)
	return r.client
}

// ResolveClient puts the address and device of the client into the context, and removes the headers by which a caller
// could claim to be another one: from here on ClientOf is the only source. It also removes the headers of the
// connection (RFC 9110, 7.6.1), except Upgrade, which RefuseUpgrade looks at.
func ResolveClient(c Clients) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ClientOf(r.Context()) != (auth.Client{}) { // a gateway in the same process has resolved it
				next.ServeHTTP(w, r)
				return
			}
			found := resolved{client: auth.Client{IP: c.address(r).String(), UserAgent: Clip(r.UserAgent(), 256)}}
			if c.Identify != nil {
				found.client, found.refused = c.Identify(r.Context(), found.client, r.Header)
			}
			removeHopByHop(r.Header)
			removeClaims(r.Header)
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, found)))
		})
	}
}

// RefuseUnidentified answers a request whose caller ResolveClient could not identify. It is a part of its own because
// it belongs inside Observe, which counts the refusal, and ResolveClient belongs outside.
func RefuseUnidentified(fail Fail) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if found, _ := r.Context().Value(clientKey{}).(resolved); found.refused != nil {
				fail(w, r, found.refused)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// address returns the rightmost address that no trusted proxy has: each hop that a trusted peer states is believed, and
// the first untrusted one is the client. Text that is no address ends the search at the proxy that passed it on.
func (c Clients) address(r *http.Request) netip.Addr {
	peer := peerOf(r)
	if !contains(c.Trusted, peer) {
		return peer
	}
	for _, text := range slices.Backward(c.hops(r.Header)) {
		hop, ok := parseHop(text)
		if !ok {
			return peer
		}
		peer = hop
		if !contains(c.Trusted, peer) {
			return peer
		}
	}
	return peer
}

// hops returns the nodes that the proxies state, the client's first. A field that is sent several times is one list
// (RFC 9110, 5.3).
func (c Clients) hops(h http.Header) []string {
	if c.Header == Forwarded {
		return forwardedNodes(strings.Join(h.Values(Forwarded), ","))
	}
	return splitList(strings.Join(h.Values(ForwardedFor), ","))
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// forwardedNodes returns the for= node of each element of a Forwarded header (RFC 7239, 4), and the empty text for an
// element that has none. Commas and semicolons inside quotes would split a node: no address has them, so what is left
// of such a node is no address either.
func forwardedNodes(header string) []string {
	var nodes []string
	for _, element := range splitList(header) {
		node := ""
		for pair := range strings.SplitSeq(element, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if strings.EqualFold(name, "for") {
				node = strings.Trim(value, `"`)
			}
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// parseHop reads an address of a list of hops, with or without a port: some load balancers (Azure's among them) write
// 203.0.113.8:51234 and [2001:db8::1]:443.
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
	return addr.WithZone("").Unmap()
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// removeClaims removes the headers by which proxies and applications state for whom they call, or that another path or
// method was meant. Services behind the gateway read none of them but the one that the gateway itself writes.
func removeClaims(h http.Header) {
	for name := range h {
		if !strings.HasPrefix(name, "X-") && name != Forwarded && name != "True-Client-Ip" && name != "Cf-Connecting-Ip" {
			continue
		}
		switch name {
		case "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Url", "X-Rewrite-Url", "X-Original-Host",
			"X-Http-Method", "X-Http-Method-Override", "X-Method-Override", Forwarded, "True-Client-Ip", "Cf-Connecting-Ip":
			delete(h, name)
		default:
			if strings.HasPrefix(name, "X-User-") || strings.HasPrefix(name, "X-Forwarded-") {
				delete(h, name)
			}
		}
	}
}

// hopByHop are the headers that concern one connection alone, beside those that its Connection header names.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Te", "Trailer",
}

// removeHopByHop removes the headers of the connection. Those by which a request is traced stay whatever the client
// says, since they are ours by now.
func removeHopByHop(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if name != "X-Request-Id" && name != "Traceparent" && name != "Upgrade" {
				delete(h, name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// Clip returns what a client sent as valid text of at most n bytes, fit to be stored and logged.
func Clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}
