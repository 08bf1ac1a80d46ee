package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Body is a request's body that remembers how reading it from the client ended: a proxy's transport reports the client's trouble and the
// service's alike. Its methods may be called from several goroutines. A nil Body is that of a request without one.
type Body struct {
	io.ReadCloser
	end atomic.Pointer[error] // io.EOF: the body is whole
}

// watch replaces the request's body by one that is watched, of at most limit bytes. When the request's time is over and the client has
// not sent it all, reading ends with a timeout: nothing else would end it, and who reads it would wait as long as the client likes.
// stop must be called when the request is done with.
func watch(w http.ResponseWriter, r *http.Request, limit int64) (stop func() bool) {
	body := &Body{ReadCloser: http.MaxBytesReader(w, r.Body, limit)}
	r.Body = body
	return context.AfterFunc(r.Context(), func() {
		if body.Incomplete() {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // a recorder of a test has no connection
		}
	})
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.end.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Failure returns why the body could not be read to its end: the client sent it broken, too large or too slowly. It is nil while nothing
// is wrong with it.
func (b *Body) Failure() error {
	if b == nil {
		return nil
	}
	if end := b.end.Load(); end != nil && !errors.Is(*end, io.EOF) {
		return *end
	}
	return nil
}

// Incomplete reports whether the client has not sent the whole body yet.
func (b *Body) Incomplete() bool { return b != nil && b.end.Load() == nil }
