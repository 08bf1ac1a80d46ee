package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/fault"
	"phonebill/ports"
)

const (
	idlePerHost = 512
	dialTimeout = time.Second
	bufferSize  = 32 << 10
)

// NewProxy returns a reverse proxy to the origin. Failures of the service become BAD_GATEWAY or GATEWAY_TIMEOUT in the
// envelope; a client that disconnects is no failure of the service. It never retries: net/http repeats only what
// certainly did not reach the service, and no request with a body.
func NewProxy(origin *url.URL, log *slog.Logger, now ports.Clock) http.Handler {
	errs := rest.NewProblemWriter(log, now)
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(origin)
			p.Out.Host = p.In.Host
			p.Out.Header.Set("X-Forwarded-For", middleware.ClientOf(p.In.Context()).IP)
		},
		Transport: polls{&http.Transport{
			DialContext: dialer.DialContext, MaxIdleConns: 0, MaxIdleConnsPerHost: idlePerHost,
			IdleConnTimeout:    90 * time.Second,
			DisableCompression: true, // the request's deadline bounds the wait for an answer
		}},
		ModifyResponse: func(res *http.Response) error {
			middleware.RemoveRepeated(res.Header)
			return nil
		},
		BufferPool: &buffers{},
		ErrorLog:   slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil && errors.Is(r.Context().Err(), context.Canceled) {
				w.WriteHeader(rest.StatusClientGone)
				return
			}
			body, _ := r.Context().Value(bodyKey{}).(*middleware.Body)
			errs.Write(w, r, proxyFault(body, err))
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Del("Cache-Control") // the service sets it, and so do our own errors
		if body, ok := r.Body.(*middleware.Body); ok {
			r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, body))
		}
		proxy.ServeHTTP(w, r)
	})
}

// bodyKey is the context key of the body that the client sends; the transport wraps the body itself.
type bodyKey struct{}

// proxyFault returns the error to write for a failed request: the client's when its body was too large, malformed or
// late, else the service's.
func proxyFault(sent *middleware.Body, err error) error {
	switch failed := sent.Failure(); {
	case failed != nil:
		return contract.BodyFault(failed)
	case errors.Is(err, context.DeadlineExceeded) && sent.Waiting():
		return fault.New(fault.RequestTimeout).Because(err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fault.New(fault.UpstreamTimeout).Because(err)
	default:
		return fault.New(fault.UpstreamBroken).Because(err)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// buffers implements httputil.BufferPool.
type buffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *buffers) Get() []byte {
	if held, ok := b.pool.Get().(*[]byte); ok {
		return *held
	}
	return make([]byte, bufferSize)
}

// Put returns a buffer to the pool.
func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }
