package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"phonebill/adapters/rest/middleware"
)

// outcome is what became of a request at one instance: a response, or an error.
type outcome struct {
	res         *http.Response
	err         error
	mayHaveLeft bool // with err: the instance may have received it
}

// ask sends a request to one instance and notes how that ended. For a read it also waits for the response's body, up to
// heldSize, so that an instance that dies in the middle of it costs the client nothing.
func (p *Pool) ask(ctx context.Context, r *http.Request, i *instance, reads, again bool) outcome {
	release := func() {}
	if reads && isLongPoll(r) {
		ctx, release = i.watched(ctx)
	}
	out := p.outgoing(ctx, r, i, again)
	var sent atomic.Bool
	if !reads {
		// Without a whole head the service has no request. The hook is called before the head is written out, so that it
		// reports a request that may not have left after all, but never the other way round.
		out = out.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			WroteHeaders: func() { sent.Store(true) },
		}))
	}
	i.inFlight.Add(1)
	over := sync.OnceFunc(func() {
		i.inFlight.Add(-1)
		release()
	})
	began := p.c.Now()
	res, err := i.transport.RoundTrip(out)
	if err == nil && refusedBelow(res) {
		_ = res.Body.Close()
		err = fmt.Errorf("%s answered %d", i.Label(), res.StatusCode)
	}
	if err == nil {
		err = hold(res, reads, over)
	}
	switch {
	case err == nil:
		p.answered(i)
		return outcome{res: res}
	case ctx.Err() == nil, errors.Is(context.Cause(ctx), errAway):
		p.failed(i, err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && p.c.Now().Sub(began) >= p.c.HedgeAfter:
		p.failed(i, err) // it had time enough
	default:
		i.abandoned.Inc()
	}
	over()
	return outcome{err: err, mayHaveLeft: reads || sent.Load()}
}

// refusedBelow reports whether something between the gateway and the instance answered in its place. A 503 of the
// service itself says when to come again, and is an answer like any other.
func refusedBelow(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	case http.StatusServiceUnavailable:
		return res.Header.Get("Retry-After") == ""
	default:
		return false
	}
}

// outgoing returns the request for an instance. A repetition has less time left than the first.
func (p *Pool) outgoing(ctx context.Context, r *http.Request, i *instance, again bool) *http.Request {
	out := r.WithContext(ctx)
	url := *r.URL
	url.Scheme, url.Host = i.Scheme, i.Host
	out.URL = &url
	if r.GetBody != nil {
		out.Body, _ = r.GetBody() // a copy in memory
	}
	if again {
		out.Header = r.Header.Clone()
		SetTimeout(ctx, out.Header, p.c.Now())
	}
	return out
}

// SetTimeout tells the service how much time the request has left: what the gateway has, less what it needs to pass on
// the service's own "too late".
func SetTimeout(ctx context.Context, h http.Header, now time.Time) {
	deadline, ok := ctx.Deadline()
	if !ok {
		h.Del(middleware.TimeoutHeader)
		return
	}
	const margin = middleware.GatewayDeadline - middleware.ServiceDeadline
	left := max(deadline.Sub(now)-margin, time.Millisecond)
	h.Set(middleware.TimeoutHeader, strconv.FormatInt(left.Milliseconds(), 10))
}

// HideKey writes the idempotency key so that net/http does not see it: http.Transport takes a request that has one for
// harmless and sends it again when a connection breaks, also after the service may have received it. On the wire it is
// the same header.
func HideKey(h http.Header) {
	const key, hidden = "Idempotency-Key", "idempotency-key"
	if values, ok := h[key]; ok {
		delete(h, key)
		h[hidden] = values
	}
	h.Del("X-Idempotency-Key")
}

// heldSize is how much of a response to a read is waited for before it is passed on, in bytes.
const heldSize = 32 << 10

// buffers holds buffers of heldSize.
var buffers = sync.Pool{New: func() any { b := make([]byte, heldSize); return &b }}

// body is a response's body that notes its end.
type body struct {
	io.ReadCloser
	over func()
}

// Close implements io.Closer.
func (b body) Close() error {
	defer b.over()
	return b.ReadCloser.Close() //nolint:wrapcheck // nobody but net/http reads it
}

// held is a response's body of which the first part has been read already.
type held struct {
	bytes.Reader
	buffer *[]byte
	rest   io.ReadCloser // nil: that was all
	over   func()        // with a rest
}

// Read implements io.Reader.
func (h *held) Read(into []byte) (int, error) {
	n, err := h.Reader.Read(into)
	if err != nil && h.rest != nil {
		return h.rest.Read(into) //nolint:wrapcheck // nobody but net/http reads it
	}
	return n, err
}

// Close implements io.Closer.
func (h *held) Close() error {
	if h.buffer == nil {
		return nil
	}
	h.Reset(nil)
	buffers.Put(h.buffer)
	h.buffer = nil
	if h.rest == nil {
		return nil
	}
	defer h.over()
	return h.rest.Close() //nolint:wrapcheck // nobody but net/http reads it
}

// hold makes the response call over at its end. That of a read is waited for, up to heldSize.
func hold(res *http.Response, reads bool, over func()) error {
	if res.Body == http.NoBody {
		over()
		return nil
	}
	if !reads {
		res.Body = body{res.Body, over}
		return nil
	}
	buffer := buffers.Get().(*[]byte) //nolint:forcetypeassert // the pool has nothing else
	n := 0
	var err error
	for err == nil && n < heldSize {
		var more int
		more, err = res.Body.Read((*buffer)[n:])
		n += more
	}
	h := &held{buffer: buffer, over: over}
	h.Reset((*buffer)[:n])
	switch {
	case err == nil:
		h.rest, res.Body = res.Body, h
		return nil
	case errors.Is(err, io.EOF):
		_ = res.Body.Close()
		over()
		if res.ContentLength < 0 {
			res.ContentLength = int64(n)
			res.Header.Set("Content-Length", strconv.Itoa(n))
		}
		res.Body = h
		return nil
	default:
		buffers.Put(buffer)
		return errors.Join(fmt.Errorf("pool: response broke off: %w", err), res.Body.Close())
	}
}

// hedge asks one instance, and a second one at the same time when the first has not answered within HedgeAfter: it may
// hang, and waiting for the end of the request's time would leave none for another. The answer that comes first counts.
func (p *Pool) hedge(r *http.Request) (*http.Response, error) {
	first := p.choose(nil, false)
	if first == nil {
		return p.rounds(r, true, nil, nil)
	}
	ctx, cancel := context.WithCancel(r.Context())
	second := make(chan outcome, 1)
	timer := time.AfterFunc(p.c.HedgeAfter, func() {
		other := p.choose([]*instance{first}, false)
		if other == nil || !p.spend("hedged") {
			second <- outcome{err: errNoInstance}
			return
		}
		out := p.ask(r.Context(), r, other, true, true)
		if out.err == nil {
			cancel() // the first is not waited for any more
		}
		second <- out
	})
	out := p.ask(ctx, r, first, true, false)
	hedged := !timer.Stop()
	switch {
	case !hedged && out.err == nil:
		return p.whole(out.res, cancel), nil
	case !hedged:
		cancel()
		return p.rounds(r, true, []*instance{first}, &out)
	case out.err == nil && ctx.Err() == nil:
		go discard(second)
		return p.whole(out.res, cancel), nil
	}
	cancel()
	late := <-second
	discarded(out)
	switch {
	case errors.Is(late.err, errNoInstance) && out.err != nil:
		return p.rounds(r, true, []*instance{first}, &out)
	case late.err != nil:
		return nil, p.giveUp(r, late)
	}
	p.settle(true)
	return late.res, nil
}

// whole returns a response whose end cancels the context of its request.
func (p *Pool) whole(res *http.Response, cancel context.CancelFunc) *http.Response {
	p.settle(true)
	if h, ok := res.Body.(*held); ok && h.rest != nil {
		over := h.over
		h.over = func() { over(); cancel() }
		return res
	}
	cancel() // everything is here already
	return res
}

func discard(second <-chan outcome) { discarded(<-second) }

func discarded(out outcome) {
	if out.res != nil {
		_ = out.res.Body.Close()
	}
}
