package gateway

import (
	"context"
	"net/http"

	"phonebill/ports"
)

// polls lets a gateway leave while customers wait for something to happen: a long poll that is under way then is asked once more, for what
// is known now. Its first answer, should it come at the same time, is dropped: reading changes nothing.
type polls struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p polls) RoundTrip(r *http.Request) (*http.Response, error) {
	left := ports.Leaving(r.Context())
	if left == nil || r.Method != http.MethodGet || !r.URL.Query().Has("wait") {
		return p.next.RoundTrip(r)
	}
	ctx, cancel := context.WithCancel(r.Context())
	done, watching := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-left:
			cancel()
		case <-done:
		}
	}()
	res, err := p.next.RoundTrip(r.WithContext(ctx))
	close(done)
	<-watching
	if ctx.Err() == nil || r.Context().Err() != nil {
		context.AfterFunc(r.Context(), cancel) // the body is read until then
		return res, err
	}
	if err == nil {
		_ = res.Body.Close()
	}
	now := r.Clone(r.Context())
	now.Body, now.ContentLength, now.TransferEncoding = http.NoBody, 0, nil // should it have had one, it says nothing, and is read already
	query := now.URL.Query()
	query.Del("wait")
	now.URL.RawQuery = query.Encode()
	return p.next.RoundTrip(now)
}
