package middleware

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Body is a request's body that remembers how reading it from the client ended: a proxy's transport reports failures of
// the client and of the service alike. Its methods are safe for concurrent use. A nil Body is that of a request without
// one.
type Body struct {
	io.ReadCloser
	end     atomic.Pointer[error] // io.EOF: the body is whole
	waiting atomic.Bool           // it is being read now
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
	b.waiting.Store(true)
	n, err := b.ReadCloser.Read(p)
	b.waiting.Store(false)
	if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.end.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Failure returns why the body could not be read to its end: the client sent it malformed, too large or too slowly. It
// is nil as long as reading has not failed.
func (b *Body) Failure() error {
	if b == nil {
		return nil
	}
	if end := b.end.Load(); end != nil && !errors.Is(*end, io.EOF) {
		return *end
	}
	return nil
}

// Waiting reports whether the body is being read and the client has not sent it all: the handler waits for the client.
func (b *Body) Waiting() bool { return b != nil && b.waiting.Load() }

// Incomplete reports whether the client has not sent the whole body yet.
func (b *Body) Incomplete() bool { return b != nil && b.end.Load() == nil }
