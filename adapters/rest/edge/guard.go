package edge

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"phonebill/core/fault"
)

// BodyLimit is the largest request body in bytes (product.md: 64 KiB).
const BodyLimit = 64 << 10

// Fail answers an error; problem.Writer.Write is one.
type Fail func(w http.ResponseWriter, r *http.Request, err error)

// Limit refuses a body that says it is over limit bytes with PAYLOAD_TOO_LARGE, and makes reading one that does not say
// (chunked) fail with *http.MaxBytesError beyond the limit.
func Limit(limit int64, fail Fail) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				w.Header().Set("Connection", "close")
				fail(w, r, fault.New(fault.PayloadTooLarge))
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			next.ServeHTTP(w, r)
		})
	}
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

// Secure sets the headers that keep browsers from guessing, framing and leaking.
func Secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Strict-Transport-Security", "max-age=31536000")
		if h.Get("Cache-Control") == "" {
			h.Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}
