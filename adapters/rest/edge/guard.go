package edge

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"phonebill/core/fault"
)

// BodyLimit is the largest request body in bytes (S-BODY: 64 KiB).
const BodyLimit = 64 << 10

// Fail answers an error; problem.Writer.Write is one.
type Fail func(w http.ResponseWriter, r *http.Request, err error)

// Limit refuses a body that says it is over limit bytes with PAYLOAD_TOO_LARGE, and makes reading one that does not say
// (chunked) fail with *http.MaxBytesError beyond the limit. The body is a *Body then.
func Limit(limit int64, fail Fail) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				w.Header().Set("Connection", "close")
				fail(w, r, fault.New(fault.PayloadTooLarge))
				return
			}
			if r.Body != nil && r.Body != http.NoBody {
				defer watch(w, r, limit)()
			}
			next.ServeHTTP(w, r)
		})
	}
}

// OneAnswer closes an HTTP/1 connection after the answer to a chunked request, and after every answer in HTTP/1.0, where net/http does not
// even tell that a request was chunked. Such a request may have come with a Content-Length too, which net/http takes away before any
// handler sees it; a server between that believed the other header would send the rest of the body as the next request (RFC 9112, 6.1: the
// connection must be closed). HTTP/2 frames its bodies itself.
func OneAnswer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 2 && (len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1)) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Recover turns a panic into a 500. When the answer has begun already it breaks the connection instead, so that half an
// answer is not taken for a whole one. It must stand inside Observe, which tells whether the answer has begun.
func Recover(fail Fail) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun := &recorder{ResponseWriter: w}
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares the panic value itself
					panic(v)
				}
				err := fault.New(fault.InternalServerError).Because(fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
				if begun.status != 0 {
					fail(discard{}, r, err)
					panic(http.ErrAbortHandler)
				}
				fail(w, r, err)
			}()
			next.ServeHTTP(begun, r)
		})
	}
}

// discard takes an answer that is only wanted for its log line.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// secure are headers that keep browsers from guessing, framing and leaking.
var secure = [][2]string{
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
	{"Referrer-Policy", "no-referrer"},
	{"Strict-Transport-Security", "max-age=31536000"},
}

// Secure sets the security headers, and forbids to store an answer whose handler does not say otherwise.
func Secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, header := range secure {
			h.Set(header[0], header[1])
		}
		if h.Get("Cache-Control") == "" {
			h.Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}

// Unrepeated takes from a service's answer the headers that the gateway's own edge has set already (Identify and Secure), so that a proxy
// does not send them twice.
func Unrepeated(answer http.Header) {
	answer.Del("X-Request-Id")
	for _, header := range secure {
		answer.Del(header[0])
	}
}
