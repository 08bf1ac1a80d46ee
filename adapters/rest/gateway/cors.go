package gateway

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"phonebill/adapters/rest/middleware"
)

// Origins are the origins of the web pages that may call the gateway from a browser (CORS, Fetch standard, 3.2), as
// browsers write them: https://app.example.com, https://app.example.com:8443. Each is compared as a whole; there are no
// patterns.
type Origins []string

// ParseOrigin reads one origin. It fails unless the text is exactly what a browser would send as Origin, so that a
// setting that would never match, or would match more than was meant, is seen at the start.
func ParseOrigin(s string) (string, error) {
	switch s {
	case "*":
		return "", errors.New("every origin is not an allow-list: name each origin")
	case "null":
		return "", errors.New("null is the origin of any sandboxed page")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return "", errors.New("an origin is like https://app.example.com")
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(s, "#"):
		return "", errors.New("an origin has a scheme, a host and at most a port")
	case strings.ContainsAny(u.Host, "*%_") || s != strings.ToLower(s) || !ascii(s):
		return "", errors.New("browsers send host names in lower case, without wildcards, other alphabets as xn--")
	case u.Port() == "443" && u.Scheme == "https", u.Port() == "80" && u.Scheme == "http", strings.HasSuffix(u.Host, ":"):
		return "", errors.New("browsers leave the scheme's own port out")
	}
	return s, nil
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c > '~' }) < 0
}

// What a page of an allowed origin may send, and which headers of an answer it may read beside those that the Fetch
// standard allows to all.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsRequest = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Traceparent, Tracestate, X-Request-Id"
	corsExposed = "Cache-Status, Deprecation, ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, " +
		"Retry-After, Sunset, WWW-Authenticate, X-Degradation, X-Request-Id"
	// corsMaxAge is how long a browser may keep the answer to a preflight, in seconds: two hours, the most that Chromium
	// takes.
	corsMaxAge = "7200"
)

// allow returns the middleware that lets pages of the origins read the gateway's answers, errors included, and answers
// preflights, for which nothing else is asked. A page of another origin gets no header, so that its browser withholds
// the answer from it, and a line in the log. Nothing is refused here: who has no token gets nothing anyway.
func (o Origins) allow(log *slog.Logger) func(http.Handler) http.Handler {
	allowed := make(map[string]bool, len(o))
	for _, origin := range o {
		allowed[origin] = true
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			origin, h := r.Header.Get("Origin"), w.Header()
			if len(allowed) > 0 {
				h.Add("Vary", "Origin")
			}
			preflight := r.Method == http.MethodOptions && origin != "" && r.Header.Get("Access-Control-Request-Method") != ""
			switch {
			case allowed[origin]:
				h.Set("Access-Control-Allow-Origin", origin)
				h.Set("Access-Control-Allow-Credentials", "true")
				if !preflight {
					h.Set("Access-Control-Expose-Headers", corsExposed)
				}
			case origin != "" && !sameHost(origin, r.Host):
				log.LogAttrs(r.Context(), slog.LevelInfo, "a page of an origin that is not allowed calls",
					slog.String("origin", middleware.Clip(origin, 200)), slog.Bool("preflight", preflight))
			}
			if !preflight {
				next.ServeHTTP(w, r)
				return
			}
			r.Pattern = "OPTIONS (preflight)" // for the access log
			if allowed[origin] {
				h.Set("Access-Control-Allow-Methods", corsMethods)
				h.Set("Access-Control-Allow-Headers", corsRequest)
				h.Set("Access-Control-Max-Age", corsMaxAge)
				h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
}

// sameHost reports whether the page comes from the host that it calls: browsers send an Origin there too. The scheme is
// not compared, since a proxy before the gateway may end TLS.
func sameHost(origin, host string) bool {
	_, of, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(of, host)
}
