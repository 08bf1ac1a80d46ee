package internalclient

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
)

// failover sends requests to one of several instances of a service, and to the next one when that cannot be reached. It
// stays with the one that answered last. It implements http.RoundTripper: the scheme and host of a request's URL are
// replaced by those of the instance.
type failover struct {
	via     http.RoundTripper // nil means http.DefaultTransport
	origins []string
	current atomic.Int64
}

// anywhere is the origin of a request that a failover sends.
const anywhere = "http://instance"

var errNoOrigin = errors.New("no origin is configured")

// RoundTrip implements http.RoundTripper. A request that asks for something to be done is sent to another instance only
// when it certainly did not leave; a read also when there was no answer, or a 503. One that takes all of the request's
// time is not the first to be asked the next time.
func (f *failover) RoundTrip(r *http.Request) (*http.Response, error) {
	via := f.via
	if via == nil {
		via = http.DefaultTransport
	}
	first := f.current.Load()
	err := errNoOrigin
	for i := range int64(len(f.origins)) {
		at := (first + i) % int64(len(f.origins))
		var out *http.Request
		if out, err = requestFor(r, f.origins[at], i > 0); err != nil {
			return nil, err
		}
		var res *http.Response
		res, err = via.RoundTrip(out)
		last := i == int64(len(f.origins))-1
		read := r.Method == http.MethodGet
		if err == nil && (last || !read || res.StatusCode != http.StatusServiceUnavailable) {
			f.current.Store(at)
			return res, nil
		}
		f.current.Store(at + 1)
		if err == nil {
			_ = res.Body.Close()
			continue
		}
		if r.Context().Err() != nil || !read && !neverSent(err) {
			return nil, err
		}
	}
	return nil, err
}

// requestFor returns the request for an origin; again means that its body may have been read.
func requestFor(r *http.Request, origin string, again bool) (*http.Request, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return nil, fmt.Errorf("internalclient: %w", err)
	}
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.Host = u.Scheme, u.Host, u.Host
	if again && r.GetBody != nil {
		if out.Body, err = r.GetBody(); err != nil {
			return nil, fmt.Errorf("internalclient: %w", err)
		}
	}
	return out, nil
}

// neverSent reports whether no connection was made.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
