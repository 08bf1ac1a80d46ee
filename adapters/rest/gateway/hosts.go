package gateway

import (
	"net"
	"net/http"
	"strings"

	"phonebill/adapters/rest/middleware"
	"phonebill/core/fault"
)

// restrict returns the middleware that refuses requests for a host that is not one of the names, with VALIDATION_ERROR:
// an address that another name leads to (DNS rebinding), or a request that a proxy misdirects. No names allow every
// host. Probes are answered whatever they are asked as, since load balancers ask by address.
func restrict(names []string, probes map[string]http.Handler, fail middleware.Fail) func(http.Handler) http.Handler {
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[hostname(name)] = true
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(known) > 0 && !known[hostname(r.Host)] && probes[r.URL.Path] == nil {
				fail(w, r, fault.InvalidField("Host", "이 서버의 주소가 아닙니다"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// hostname returns a host without port, brackets and the final dot, in lower case.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}
