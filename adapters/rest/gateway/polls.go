package gateway

import (
	"context"
	"net/http"

	"phonebill/ports"
)

// polls lets a gateway shut down during long polls: a poll under way is then repeated once without waiting, for the
// state at that time. An answer to the first request that arrives meanwhile is dropped, since reading changes nothing.
type polls struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p polls) RoundTrip(r *http.Request) (*http.Response, error) {
	left := ports.ShuttingDown(r.Context())
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
	// A body of a GET means nothing, and it has been read already.
	now.Body, now.ContentLength, now.TransferEncoding = http.NoBody, 0, nil
	query := now.URL.Query()
	query.Del("wait")
	now.URL.RawQuery = query.Encode()
	return p.next.RoundTrip(now)
}
