package middleware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/core/fault"
	"phonebill/ports"
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

// RefuseUpgrade refuses a request that asks for another protocol with VALIDATION_ERROR. A proxy that passed it on would
// connect the client with a service directly: the next requests on that connection would pass no check of path, token
// or permission (h2c in particular). Nothing here speaks WebSocket; HTTP/2 is agreed on in the TLS handshake.
func RefuseUpgrade(fail Fail) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header["Upgrade"]) > 0 {
				w.Header().Set("Connection", "close")
				fail(w, r, fault.InvalidField("Upgrade", "다른 프로토콜로 전환할 수 없습니다"))
				return
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

// RemoveRepeated removes from a service's answer the headers that the gateway's own Trace, Secure and contract have set
// already, so that a proxy does not send them twice.
func RemoveRepeated(answer http.Header) {
	answer.Del("X-Request-Id")
	answer.Del("Deprecation")
	answer.Del("Sunset")
	for _, header := range secure {
		answer.Del(header[0])
	}
}

// Body is a request's body that knows whether the client has sent it all. Its methods are safe for concurrent use. A
// nil Body is that of a request without one.
type Body struct {
	io.ReadCloser
	ended atomic.Bool // reading it has ended, with the whole body or with an error
}

// watch replaces the request's body by a Body of at most limit bytes. When the request's time is over and the client
// has not sent the whole body, reading ends with a timeout; nothing else would end it. done must be called when the
// request is answered: net/http reads the rest of the body before it sends the answer, and that must not wait for a
// client that has stopped sending.
func watch(w http.ResponseWriter, r *http.Request, limit int64) (done func()) {
	body := &Body{ReadCloser: http.MaxBytesReader(w, r.Body, limit)}
	r.Body = body
	endReading := func(in time.Duration) {
		if body.Incomplete() {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(in)) // a recorder of a test has no connection
		}
	}
	stop := context.AfterFunc(r.Context(), func() { endReading(0) })
	return func() {
		stop()
		endReading(restOfBody)
	}
}

// restOfBody is how long the rest of a body may still take to arrive when the request is answered without it.
const restOfBody = 100 * time.Millisecond

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.ended.Store(true)
	}
	return n, err
}

// Incomplete reports whether the client has not sent the whole body yet.
func (b *Body) Incomplete() bool { return b != nil && !b.ended.Load() }

// Deadlines of a request: the client must have its answer within 3.0 s. The gateway's deadline is later, so that a
// service that runs out of time can still answer itself.
const (
	ServiceDeadline = 2850 * time.Millisecond
	GatewayDeadline = 2950 * time.Millisecond
)

// longestPoll is the longest wait that ?wait= may ask for, in seconds.
const longestPoll = 25

// TimeoutHeader says in milliseconds how much time a request has left: the gateway sends it to the services.
const TimeoutHeader = "X-Request-Timeout"

// Deadline ends a request's context after limit, whatever hangs below; a long poll has the seconds it asks for on
// top. A trusted peer may give the request less time (TimeoutHeader), never more; from any other peer the header is
// removed. Deadline copies the request, so it stands outside Observe.
func Deadline(limit time.Duration, trusted []netip.Prefix) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			within := limit + polls(r)
			if given := r.Header.Get(TimeoutHeader); given != "" {
				if ms, err := strconv.ParseInt(given, 10, 32); err == nil && ms > 0 && contains(trusted, peerOf(r)) {
					within = min(within, time.Duration(ms)*time.Millisecond)
				}
				r.Header.Del(TimeoutHeader)
			}
			ctx, cancel := context.WithTimeout(r.Context(), within)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

func polls(r *http.Request) time.Duration {
	if r.URL.RawQuery == "" {
		return 0
	}
	seconds, err := strconv.Atoi(r.URL.Query().Get("wait"))
	if err != nil || seconds < 0 || seconds > longestPoll {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// Metrics counts and times requests by method, route pattern and status class.
type Metrics struct{ seconds *prometheus.HistogramVec }

// NewMetrics registers phonebill_http_request_seconds; it fails when the registry has one already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "phonebill_http_request_seconds",
		Help:    "Time to answer a request, by method, route pattern and status class.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .2, .5, 1, 2, 3, 5, 10, 30},
	}, []string{"method", "route", "class"})}
	if err := registry.Register(m.seconds); err != nil {
		return nil, fmt.Errorf("middleware: register metrics: %w", err)
	}
	return m, nil
}

// Observe writes one access-log line and one metric per request. It names the route, never the path, query or body,
// which hold personal data. Handlers below it must pass the request on without copying it, for the mux notes its
// pattern on it; so it belongs directly around the mux, with only Recover, Limit and Secure between.
func Observe(m *Metrics, log *slog.Logger, now ports.Clock) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec, start := &recorder{ResponseWriter: w}, now()
			defer func() {
				took := now().Sub(start)
				m.seconds.WithLabelValues(method(r.Method), route(r.Pattern), class(rec.status)).Observe(took.Seconds())
				log.LogAttrs(r.Context(), slog.LevelInfo, "request",
					slog.String("method", method(r.Method)), slog.String("route", route(r.Pattern)), slog.Int("status", rec.code()),
					slog.Float64("ms", float64(took.Microseconds())/1000),
					slog.String("httpRequestId", ports.TraceOf(r.Context()).RequestID),
					slog.String("traceId", ports.TraceOf(r.Context()).TraceID))
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

// method returns a label of a bounded set, whatever a client sends.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return m
	default:
		return "OTHER"
	}
}

func route(pattern string) string {
	if pattern == "" || pattern == "/" {
		return "unmatched"
	}
	return pattern
}

func class(status int) string { return strconv.Itoa(max(status, http.StatusOK)/100) + "xx" }

// recorder remembers the status of the answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) code() int { return max(r.status, http.StatusOK) }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // 1xx is not the answer yet
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b) //nolint:wrapcheck // a ResponseWriter returns the error of the one below
}

// Unwrap lets http.ResponseController reach Flush and deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
