// Package middleware has what every request passes first, in the gateway and in each service: it assigns ids, removes
// forged identity headers, limits body and time, logs and counts, and turns panics into answers. rest.Chain puts the
// parts in order.
package middleware

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"

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

// WithTrace gives the errors of requests that have not passed Trace ids of their own, so that they can be found too.
func WithTrace(fail Fail) Fail {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		t := ports.Trace{RequestID: randomHex(16), TraceID: randomHex(16), SpanID: randomHex(8)}
		w.Header().Set("X-Request-Id", t.RequestID)
		fail(w, r.WithContext(ports.WithTrace(r.Context(), t)), err)
	}
}
