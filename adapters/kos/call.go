package kos

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/ports"
)

const (
	maxAnswer    = 1 << 20          // bytes
	callTimeout  = 10 * time.Second // of background work; customers give less
	logTimeout   = time.Second      // for writing the call log; a result is not held up longer
	quotaTimeout = time.Second      // for reporting E429 to the quota
)

// question is one call that is to be made.
type question struct {
	of     *traits
	call   ports.Call
	line   line.Number
	http   *http.Request
	decode func(body []byte) error // judges the data of a success; runs on the caller's goroutine before call returns
}

// call makes the call. When KOS refused our credential unread and there is another one, an idempotent call is made once
// more with it. That takes quota as any call does and counts as the second attempt, so it happens after the first
// attempt only, and the caller is not to try again after it: three calls per question are the most. In a later attempt
// the caller itself tries again, with the other credential. A call that is not idempotent is left to the caller, which
// learns that it was not sent.
func (c *Client) call(ctx context.Context, q question) outcome {
	out := c.once(ctx, q)
	if out.verdict != unknownKey || !out.otherKey || !q.of.idempotent {
		return out
	}
	if q.call.Attempt > 1 {
		out.transient = true
		return out
	}
	q.call.Attempt = 2
	out = c.once(ctx, q)
	out.transient = false
	return out
}

// once takes the call through circuit breaker, rate limiter (bulkhead and quota) and wire, in that order: an open
// breaker spends no quota, and a refusal by the quota says nothing about KOS.
func (c *Client) once(ctx context.Context, q question) outcome {
	permit, wait, err := c.deps.Breakers.allow(q.of.name, c.probe)
	if err != nil {
		return c.countAndLog(ctx, q, outcome{verdict: breakerOpen, retryAfter: wait, cause: err})
	}
	out := outcome{verdict: broken} // what the breaker is given if the code below panics
	defer func() { permit.report(out, subjectKey(q.line.Digits())) }()
	queued, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := time.Now()
	release, err := c.limiter.acquire(queued, q.call.Lane, q.of.compartment, q.line, c.latencies[q.of.name].needed())
	switch {
	case errors.Is(err, ports.ErrNotAsked):
		out = outcome{verdict: quotaUsedUp, retryAfter: fault.From(err).RetryAfter(), cause: err}
		return c.countAndLog(ctx, q, out)
	case err != nil:
		out = outcome{verdict: gaveUp, cause: err}
		return c.countAndLog(ctx, q, out)
	}
	defer release()
	out = c.send(ctx, q, permit.state, time.Since(began))
	return out
}

// send makes the one request, judges the answer and writes the call log. waited is how long the call waited for its
// turn.
func (c *Client) send(ctx context.Context, q question, breaker operations.BreakerState, waited time.Duration) outcome {
	if err := ctx.Err(); err != nil {
		return c.countAndLog(ctx, q, outcome{verdict: gaveUp, cause: err})
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	key := c.keys.key()
	setHeaders(limited, q.http, key)
	entry := audit.Call{
		ID: c.deps.NewID(), Operation: string(q.of.name), Line: q.line,
		RequestID: q.call.RequestID, AskedAt: c.deps.Now(),
		Waited: waited.Truncate(time.Millisecond), Attempt: max(1, q.call.Attempt), Breaker: string(breaker),
		Request: loggedRequest(q.http),
	}
	out, x := c.timed(limited, q)
	if out.verdict == unknownKey {
		out.otherKey = c.keys.refused(key)
	}
	entry.AnsweredAt, entry.HTTPStatus, entry.Answer = c.deps.Now(), x.status, x.body
	entry.Result = out.label()
	c.metrics.seconds.WithLabelValues(string(q.of.name)).Observe(entry.AnsweredAt.Sub(entry.AskedAt).Seconds())
	c.record(ctx, entry)
	return c.countAndLog(ctx, q, out)
}

// timed makes the request, judges the answer and updates the operation's latency estimate.
func (c *Client) timed(ctx context.Context, q question) (out outcome, x exchange) {
	began, latency := time.Now(), c.latencies[q.of.name]
	deadline, _ := ctx.Deadline() // send has set one
	available := deadline.Sub(began)
	x = c.exchange(ctx, q.call, q.http)
	if x.err == nil {
		latency.observe(time.Since(began))
		return judge(x, q.of, q.decode), x
	}
	if errors.Is(x.err, errTooLate) {
		return outcome{verdict: gaveUp, cause: errTooLate}, x
	}
	out = failed(ctx, x.connected, x.err)
	if out.verdict == noAnswer && available < q.of.sufficient() {
		out.hurried = true
		latency.observeTimeout()
	}
	return out, x
}

// countAndLog counts the outcome in the metrics, and logs and alerts what a person must look at. It returns out.
func (c *Client) countAndLog(ctx context.Context, q question, out outcome) outcome {
	name := string(q.of.name)
	operation, result := slog.String("operation", name), slog.String("result", out.label())
	c.metrics.calls.WithLabelValues(name, out.label()).Inc()
	switch out.verdict {
	case ourFault:
		if c.probe { // a probe asks about what does not exist: KOS need not understand it
			break
		}
		c.deps.Logger.ErrorContext(ctx, "kos refuses our request: a bug of ours", operation, result,
			slog.Any("error", out.cause))
		c.alert(ctx, operations.RefusedByKOS, name, "KOS does not understand our request: "+out.label())
	case unknownKey:
		c.deps.Logger.ErrorContext(ctx, "kos refuses our credential", operation,
			slog.Bool("anotherOneIsTried", out.otherKey), slog.Any("error", out.cause))
		c.alert(ctx, operations.RefusedByKOS, name, "KOS does not know our credential; "+nextKey(out.otherKey))
	case overQuota:
		c.reportOverspent(ctx, out)
		c.alert(ctx, operations.OverQuota, name, "KOS counts more calls than we do; the budget shrinks for a while")
	case malformed, unreadable:
		c.deps.Logger.WarnContext(ctx, "kos sent an unusable answer", operation, result, slog.Any("error", out.cause))
	case broken, noConnection:
		c.deps.Logger.WarnContext(ctx, "kos failed", operation, result, slog.Any("error", out.cause))
	case business:
		if out.impossible {
			c.deps.Logger.WarnContext(ctx, "kos refused with a code that does not fit the question", operation, result)
		}
	case answered, unsupported, noAnswer, callerGone, gaveUp, quotaUsedUp, breakerOpen:
	}
	if out.label() == unknownCode {
		c.deps.Logger.WarnContext(ctx, "kos sent an unknown result code", operation,
			slog.String("code", printable(out.code)))
		c.alert(ctx, operations.UnknownCode, name, "result code "+printable(out.code))
	}
	return out
}

func nextKey(other bool) string {
	if other {
		return "another one is used from now on"
	}
	return "there is no other one"
}

// printable returns the beginning of an unknown code, quoted, at most eight bytes: a line number is longer.
func printable(code string) string {
	const shown = 8
	return strings.Trim(strconv.QuoteToASCII(code[:min(len(code), shown)]), `"`)
}

func (c *Client) alert(ctx context.Context, kind operations.AlertKind, subject, note string) {
	c.deps.Alerts.Raise(ctx, operations.Alert{Kind: kind, Subject: subject, Note: note})
}

// reportOverspent shrinks the budget of all instances after E429: KOS counts more calls than we do.
func (c *Client) reportOverspent(ctx context.Context, out outcome) {
	c.deps.Logger.WarnContext(ctx, "kos reports that we exceed its quota: the budget shrinks for a while",
		slog.Duration("retryAfter", out.retryAfter))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quotaTimeout)
	defer cancel()
	if err := c.deps.Quota.OverSpent(ctx, out.retryAfter); err != nil {
		c.deps.Logger.ErrorContext(ctx, "the budget cannot be shrunk", slog.Any("error", err))
	}
}

// setHeaders sets credential and trace, and restores the body of a request that was sent before. It never sets an
// Idempotency-Key: net/http would repeat the request by itself.
func setHeaders(ctx context.Context, r *http.Request, key personal.Secret) {
	r.Header.Set("Authorization", "Bearer "+key.Reveal())
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Accept-Encoding", "identity")
	trace := ports.TraceOf(ctx)
	if trace.RequestID != "" {
		r.Header.Set("X-Request-ID", trace.RequestID)
	}
	if parent := trace.Traceparent(); parent != "" {
		r.Header.Set("Traceparent", parent)
	}
	r.Body = emptyBody{}
	if r.GetBody != nil {
		r.Body = io.NopCloser(bytes.NewReader(loggedRequest(r)))
	}
}

// emptyBody is a body of no bytes that net/http does not recognise as http.NoBody. With it a GET is not "replayable",
// so that net/http does not repeat it when a kept connection breaks: one call is one request, and the quota counts
// calls. On the wire it is nothing. A POST needs no such help: net/http repeats one only if no byte of it was written.
type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error) { return 0, io.EOF }
func (emptyBody) Close() error             { return nil }

// loggedRequest returns what the call log keeps of a request: its body, or its path when it has none.
func loggedRequest(r *http.Request) []byte {
	if r.GetBody == nil {
		return []byte(r.URL.RequestURI())
	}
	body, err := r.GetBody()
	if err != nil {
		return nil
	}
	defer func() { _ = body.Close() }()
	raw, _ := io.ReadAll(body) // from memory
	return raw
}

// exchange is the result of one HTTP request.
type exchange struct {
	connected bool // there was a connection, so bytes may have left
	status    int
	header    http.Header
	body      []byte // at most maxAnswer+1 bytes
	err       error  // no complete answer came
}

// exchange sends the request and reads the answer.
func (c *Client) exchange(ctx context.Context, call ports.Call, r *http.Request) (x exchange) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		x.connected = true
		call.Sent()
		guard(info, func() error { return c.mayStillSend(ctx, call.NotAfter) })
	}})
	res, err := c.wire.RoundTrip(r.WithContext(ctx)) // http.Client would follow redirects and put the URL into errors
	if err != nil {
		x.err = err
		return x
	}
	defer func() { _ = res.Body.Close() }()
	x.status, x.header = res.StatusCode, res.Header
	x.body, x.err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if x.err == nil {
		x.body = unzipped(x.body)
	}
	return x
}

// gzipMagic begins every gzip stream and no JSON document.
var gzipMagic = []byte("\x1f\x8b")

// unzipped returns at most maxAnswer+1 bytes of a body that KOS compressed although it was asked not to. A body that is
// no gzip stream, or a broken one, is returned unchanged.
func unzipped(body []byte) []byte {
	if !bytes.HasPrefix(body, gzipMagic) || len(body) > maxAnswer {
		return body
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxAnswer+1))
	if err != nil {
		return body
	}
	return plain
}

// newTransport returns a transport with a kept connection for each of the few calls that the quota allows at a time.
func newTransport(connect time.Duration) http.RoundTripper {
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 15 * time.Second}
	return &http.Transport{
		// No proxy: KOS is on a private link.
		DialContext: guardedDialer(dialer.DialContext), TLSHandshakeTimeout: connect,
		MaxIdleConns: 16, MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
	}
}

// errTooLate is the error of a request whose time was over before its first byte was written. Nothing was sent.
var errTooLate = errors.New("kos: too late to be sent")

// guardedConn is a connection that checks, before the first write of each request, whether the request may still be
// sent. A process that was suspended between deciding and writing must not send what another worker has taken over
// meanwhile.
type guardedConn struct {
	net.Conn
	check atomic.Pointer[func() error] // of the request whose first write comes next; nil = done
}

// Write runs the pending check, then writes.
func (g *guardedConn) Write(p []byte) (int, error) {
	if check := g.check.Swap(nil); check != nil {
		if err := (*check)(); err != nil {
			return 0, err
		}
	}
	return g.Conn.Write(p)
}

// guard sets the check on the connection that a request was given.
func guard(info httptrace.GotConnInfo, check func() error) {
	conn := info.Conn
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	if g, ok := conn.(*guardedConn); ok {
		g.check.Store(&check)
	}
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// guardedDialer returns dial, with connections that can be guarded.
func guardedDialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &guardedConn{Conn: conn}, nil
	}
}

// mayStillSend returns errTooLate when the caller no longer waits for the request, or at or after notAfter (if not
// zero) by the clock that all instances share.
func (c *Client) mayStillSend(ctx context.Context, notAfter time.Time) error {
	if ctx.Err() != nil || !notAfter.IsZero() && !c.deps.Now().Before(notAfter) {
		return errTooLate
	}
	return nil
}

// latencies holds an estimate for each operation. It is safe for concurrent use.
type latencies map[Operation]*latencyEstimate

func newLatencies() latencies {
	all := latencies{}
	for _, op := range allOperations() {
		t := op.properties()
		all[t.name] = &latencyEstimate{of: t, p90: t.typical}
	}
	return all
}

// latencyEstimate estimates how long one operation takes at present. It is safe for concurrent use.
type latencyEstimate struct {
	of *traits

	mu    sync.Mutex
	p90   time.Duration // about nine of ten answers come within it
	floor time.Duration // to give, since a call with too little time was not answered; 0 = all calls were answered
}

// needed returns the time that a call should have left when it is sent: a quarter more than the estimate. It is never
// more than the operation's sufficient time, so that there is always a call that can find KOS quick again.
func (e *latencyEstimate) needed() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return min(e.of.sufficient(), max(withReserve(e.p90), e.floor))
}

func withReserve(d time.Duration) time.Duration { return d + d/4 }

// observe learns from a call that was answered after d. A slower answer raises the estimate by 9 %, a quicker one
// lowers it by 1 %, so that one slow line does not make all other callers wait longer.
func (e *latencyEstimate) observe(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if d > e.p90 {
		e.p90 += e.p90 * 9 / 100
	} else {
		e.p90 = max(e.of.typical, e.p90-e.p90/100)
	}
	e.floor = min(e.floor, withReserve(d))
}

// observeTimeout learns from a call that had less than the sufficient time and was not answered in it: the next calls
// are given the sufficient time, until an answer shows how much is needed.
func (e *latencyEstimate) observeTimeout() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.floor = e.of.sufficient()
}
