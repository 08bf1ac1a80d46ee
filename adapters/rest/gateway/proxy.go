package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/gateway/pool"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/fault"
	"phonebill/ports"
)

const bufferSize = 32 << 10

// NewProxy returns a reverse proxy to the instances of the service that the named file of package openapi specifies.
// What no instance answers becomes SERVICE_UNAVAILABLE with the operation's text; BAD_GATEWAY or GATEWAY_TIMEOUT when
// the request asks for something to be done and may have reached the service. A client that disconnects is no failure
// of the service.
func NewProxy(file string, instances *pool.Pool, log *slog.Logger, now ports.Clock) (http.Handler, error) {
	spec, err := contract.Load(file)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	operations, err := contract.TraitsOf(spec)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	p := &proxy{errs: rest.NewProblemWriter(log, now), instances: instances, operations: operations}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.Host = p.In.Host
			h := p.Out.Header
			h.Set("X-Forwarded-For", middleware.ClientOf(p.In.Context()).IP)
			h.Del("Expect") // the body is here already
			pool.HideKey(h)
			pool.SetTimeout(p.In.Context(), h, now())
		},
		Transport: polls{instances},
		ModifyResponse: func(res *http.Response) error {
			middleware.RemoveRepeated(res.Header)
			return nil
		},
		BufferPool:   &buffers{},
		ErrorLog:     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: p.fail,
	}
	return p, nil
}

// proxy passes the requests of one service on.
type proxy struct {
	errs       *rest.ProblemWriter
	instances  *pool.Pool
	operations map[string]contract.Traits // by pattern
	reverse    *httputil.ReverseProxy
}

// ServeHTTP implements http.Handler. It waits for the whole body before the request takes a place among those of the
// service: a client that sends slowly holds nobody up, and what did not reach one instance can be sent to another.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Cache-Control") // the service sets it, and so do our own errors
	r, err := buffered(r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	traits := p.operations[r.Pattern]
	longPoll := traits.Waits && r.URL.RawQuery != "" && !slices.Contains([]string{"", "0"}, r.URL.Query().Get("wait"))
	done, err := p.instances.Admit(r.Context(), traits.Class, longPoll)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	defer done()
	p.reverse.ServeHTTP(w, r)
}

// buffered returns the request with its body in memory. It fails with the client's error when the body is too large,
// malformed or late.
func buffered(r *http.Request) (*http.Request, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return r, nil
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return r, contract.BodyFault(err)
	}
	with := *r
	with.ContentLength, with.TransferEncoding = int64(len(data)), nil
	with.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	with.Body, _ = with.GetBody() // never fails
	return &with, nil
}

// fail writes the error of a request that was not answered.
func (p *proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		w.WriteHeader(rest.StatusClientGone)
		return
	}
	var unanswered *pool.UnansweredError
	switch {
	case !errors.As(err, &unanswered):
		p.errs.Write(w, r, err)
	case unanswered.MayHaveLeft && unanswered.Late:
		p.errs.Write(w, r, fault.New(fault.UpstreamTimeout).Because(err))
	case unanswered.MayHaveLeft:
		p.errs.Write(w, r, fault.New(fault.UpstreamBroken).Because(err))
	default:
		f := fault.New(fault.ServiceUnavailable).RetryIn(unanswered.RetryIn).Because(err)
		if text := p.operations[r.Pattern].Failure; text != "" {
			f = f.WithMessage(text)
		}
		p.errs.Write(w, r, f)
	}
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
