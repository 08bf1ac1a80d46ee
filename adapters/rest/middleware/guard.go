package middleware

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"phonebill/core/fault"
)

// BodyLimit is the size of the largest request body in bytes.
const BodyLimit = 64 << 10

// Fail writes an error as the answer; rest.ProblemWriter.Write is one.
type Fail func(w http.ResponseWriter, r *http.Request, err error)

// Limit refuses a body whose Content-Length is over limit bytes with PAYLOAD_TOO_LARGE, and makes reading a chunked
// body fail with *http.MaxBytesError beyond the limit. The body of the request passed on is a *Body.
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

// CloseAfterChunked closes an HTTP/1 connection after the answer to a chunked request, and after every answer in
// HTTP/1.0, where net/http does not report that a request was chunked. Such a request may also have had a
// Content-Length, which net/http removes before a handler sees it; a proxy in between that believed that header would
// send the rest of the body as the next request (RFC 9112, 6.1: the connection must be closed). HTTP/2 frames its
// bodies itself.
func CloseAfterChunked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 2 && (len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1)) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Recover turns a panic into a 500. When the answer has begun already it breaks the connection instead, so that the
// client does not take half an answer for a whole one. It must be inside Observe.
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

// discard is a ResponseWriter that drops the answer.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// secure are the headers that keep browsers from guessing content types, framing pages and sending referrers.
var secure = [][2]string{
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
	{"Referrer-Policy", "no-referrer"},
	{"Strict-Transport-Security", "max-age=31536000"},
}

// Secure sets the security headers, and Cache-Control: no-store on an answer whose handler sets no Cache-Control.
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

// RemoveRepeated removes from a service's answer the headers that the gateway's own Trace and Secure have set already,
// so that a proxy does not send them twice.
func RemoveRepeated(answer http.Header) {
	answer.Del("X-Request-Id")
	for _, header := range secure {
		answer.Del(header[0])
	}
}
