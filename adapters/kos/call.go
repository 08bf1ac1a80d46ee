package kos

import (
	"bytes"
	"cmp"
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
	"time"

	"phonebill/core/alert"
	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Operation names a call of KOS as docs/spec/kos.md does.
type Operation string

const (
	billInquiry         Operation = "bill.inquiry"
	customerGet         Operation = "customer.get"
	productsList        Operation = "products.list"
	productChange       Operation = "product.change"
	productChangeStatus Operation = "product.change.status"
)

// used are the operations that we use; each has a breaker of its own.
func used() []Operation {
	return []Operation{billInquiry, customerGet, productsList, productChange, productChangeStatus}
}

// compartment is where calls of the operation stand in the bulkhead.
func (o Operation) compartment() compartment {
	switch o {
	case billInquiry:
		return billReads
	case productChange, productChangeStatus:
		return changes
	case customerGet, productsList:
	}
	return productReads
}

const (
	maxAnswer  = 1 << 20          // bytes
	maxCall    = 10 * time.Second // the longest that background work may wait (S-KOS-TIMEOUT); callers wait less
	maxLogging = time.Second      // to write the call log; the answer is not held up longer
)

// question is one call. read judges the data of a success; it runs on the caller's goroutine before call returns.
type question struct {
	operation Operation
	lane      quota.Lane
	line      line.Number
	request   id.ID
	http      *http.Request
	read      func(body []byte) error
}

// call asks, and a reading question once more when KOS refused our key unread and there is another key. That takes quota as any call does
// and is the second attempt of the question, so it is done after the first one only, and who asks is not to try again after it: three calls
// a question are the most. In a later attempt it is he who tries again, with the other key. A change is not repeated here: its order
// decides (it was not sent, in effect).
func (c *Client) call(ctx context.Context, q question) outcome {
	out := c.once(ctx, q)
	if out.verdict != unknownKey || !out.otherKey || q.operation == productChange {
		return out
	}
	if ports.AttemptOf(ctx) > 1 {
		out.transient = true
		return out
	}
	out = c.once(ports.WithAttempt(ctx, 2), q)
	out.transient = false
	return out
}

// once takes the question through breaker, turnstile (bulkhead and quota) and wire, in that order: an open breaker spends no quota, and
// a refused quota says nothing about KOS.
func (c *Client) once(ctx context.Context, q question) outcome {
	let, wait, err := c.deps.Breakers.allow(q.operation, c.probe)
	if err != nil {
		return c.told(ctx, q, outcome{verdict: breakerOpen, retryAfter: wait, cause: err})
	}
	out := outcome{verdict: broken} // should the code below panic, the breaker hears of a failure
	defer func() { let.report(out, q.line) }()
	waiting, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	came := time.Now()
	over, err := c.gate.pass(waiting, q.lane, q.operation.compartment(), q.line, c.paces[q.operation].need(q.operation))
	switch {
	case errors.Is(err, ports.ErrNotAsked):
		out = c.told(ctx, q, outcome{verdict: quotaUsedUp, retryAfter: fault.From(err).RetryAfter(), cause: err})
		return out
	case err != nil:
		out = c.told(ctx, q, outcome{verdict: gaveUp, cause: err})
		return out
	}
	defer over()
	out = c.ask(ctx, q, let.state, time.Since(came))
	return out
}

// ask makes the one request, judges it and writes it to the call log. waited is how long it took to get its turn.
func (c *Client) ask(ctx context.Context, q question, breaker operations.BreakerState, waited time.Duration) outcome {
	if err := ctx.Err(); err != nil {
		return c.told(ctx, q, outcome{verdict: gaveUp, cause: err})
	}
	limited, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	key := c.keys.key()
	dress(limited, q.http, key)
	entry := audit.Call{
		ID: c.deps.NewID(), Operation: string(q.operation), Line: q.line, RequestID: cmp.Or(q.request, ports.RequestOf(ctx)),
		AskedAt: c.deps.Now(), Waited: waited.Truncate(time.Millisecond), Attempt: ports.AttemptOf(ctx),
		Breaker: string(breaker), Request: sent(q.http),
	}
	out, x := c.timed(limited, q)
	if out.verdict == unknownKey {
		out.otherKey = c.keys.refused(key)
	}
	entry.AnsweredAt, entry.HTTPStatus, entry.Answer = c.deps.Now(), x.status, x.body
	entry.Result = out.label()
	c.metrics.seconds.WithLabelValues(string(q.operation)).Observe(entry.AnsweredAt.Sub(entry.AskedAt).Seconds())
	c.record(ctx, entry)
	return c.told(ctx, q, out)
}

// timed makes the request, judges it and learns how long such a call takes.
func (c *Client) timed(ctx context.Context, q question) (out outcome, x exchange) {
	set, pace := time.Now(), c.paces[q.operation]
	end, _ := ctx.Deadline() // ask has set one
	given := end.Sub(set)
	x = c.exchange(ctx, q.http)
	if x.err == nil {
		pace.took(q.operation, time.Since(set))
		return judge(x, q.operation, q.read), x
	}
	if errors.Is(x.err, errLate) {
		return outcome{verdict: gaveUp, cause: errLate}, x
	}
	out = failed(ctx, x.connected, x.err)
	if out.verdict == noAnswer && given < q.operation.enough() {
		out.hurried = true
		pace.inVain(q.operation)
	}
	return out, x
}

// told counts the outcome and says aloud what a person must look at.
func (c *Client) told(ctx context.Context, q question, out outcome) outcome {
	c.metrics.calls.WithLabelValues(string(q.operation), out.label()).Inc()
	switch out.verdict {
	case ourFault:
		if c.probe { // what it asks about does not exist: KOS need not understand it
			break
		}
		c.deps.Logger.ErrorContext(ctx, "kos refuses our request: a bug of ours",
			slog.String("operation", string(q.operation)), slog.String("result", out.label()), slog.Any("error", out.cause))
		c.alert(ctx, alert.Refused, string(q.operation), "KOS does not understand our request: "+out.label())
	case unknownKey:
		c.deps.Logger.ErrorContext(ctx, "kos refuses our credential", slog.String("operation", string(q.operation)),
			slog.Bool("anotherOneIsTried", out.otherKey), slog.Any("error", out.cause))
		c.alert(ctx, alert.Refused, string(q.operation), "KOS does not know our credential; "+nextKey(out.otherKey))
	case overQuota:
		c.overspent(ctx, out)
		c.alert(ctx, alert.OverQuota, string(q.operation), "KOS counts more calls than we do; the budget shrinks for a while")
	case malformed, unreadable:
		c.deps.Logger.WarnContext(ctx, "kos answered something that is not meant to be",
			slog.String("operation", string(q.operation)), slog.String("result", out.label()), slog.Any("error", out.cause))
	case broken, noConnection:
		c.deps.Logger.WarnContext(ctx, "kos failed",
			slog.String("operation", string(q.operation)), slog.String("result", out.label()), slog.Any("error", out.cause))
	case business:
		if out.impossible {
			c.deps.Logger.WarnContext(ctx, "kos gave a no that the question cannot have",
				slog.String("operation", string(q.operation)), slog.String("result", out.label()))
		}
	case answered, unsupported, noAnswer, left, gaveUp, quotaUsedUp, breakerOpen:
	}
	if out.label() == unknownCode {
		c.deps.Logger.WarnContext(ctx, "kos returned a result code that is not in its contract",
			slog.String("operation", string(q.operation)), slog.String("code", printable(out.code)))
		c.alert(ctx, alert.UnknownCode, string(q.operation), "result code "+printable(out.code))
	}
	return out
}

func nextKey(other bool) string {
	if other {
		return "another one is used from now on"
	}
	return "there is no other one"
}

// printable is as much of a code that KOS made up as fits on a line.
func printable(code string) string {
	const enough = 8 // a line number is longer
	return strings.Trim(strconv.QuoteToASCII(code[:min(len(code), enough)]), `"`)
}

func (c *Client) alert(ctx context.Context, kind alert.Kind, subject, note string) {
	c.deps.Alerts.Raise(ctx, alert.Alert{Kind: kind, Subject: subject, Note: note})
}

// overspent shrinks the budget of all instances: KOS counts otherwise than we do.
func (c *Client) overspent(ctx context.Context, out outcome) {
	c.deps.Logger.WarnContext(ctx, "kos says that we ask too much: the budget shrinks for a while",
		slog.Duration("retryAfter", out.retryAfter))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxLogging)
	defer cancel()
	if err := c.deps.Quota.OverSpent(ctx, out.retryAfter); err != nil {
		c.deps.Logger.ErrorContext(ctx, "the budget cannot be shrunk", slog.Any("error", err))
	}
}

// dress adds credential and trace, and gives a request that was sent before its body back. An Idempotency-Key is never sent: net/http
// would repeat the request by itself.
func dress(ctx context.Context, r *http.Request, key personal.Secret) {
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
	r.Body = empty{}
	if r.GetBody != nil {
		r.Body = io.NopCloser(bytes.NewReader(sent(r)))
	}
}

// empty is a body of no bytes that net/http does not recognise as none. With it a GET is not "replayable", so that net/http does
// not repeat it on a kept connection that broke: one call is one request, and the quota counts calls. On the wire it is nothing. A
// POST needs no such help: net/http repeats one only if not a byte of it was written.
type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, io.EOF }
func (empty) Close() error             { return nil }

// sent is what the call log keeps of a request: its body, or the path when it has none.
func sent(r *http.Request) []byte {
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

// exchange is what the wire brought.
type exchange struct {
	connected bool // there was a connection, so bytes may have left
	status    int
	header    http.Header
	body      []byte // at most maxAnswer+1 bytes
	err       error  // no whole answer came
}

func (c *Client) exchange(ctx context.Context, r *http.Request) (x exchange) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		x.connected = true
		ports.Sent(ctx)
		guard(info, func() error { return c.leaving(ctx) })
	}})
	res, err := c.wire.RoundTrip(r.WithContext(ctx)) // not http.Client: no redirects, no URL with a line number in errors
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

// gzipMagic begins what gzip makes, and nothing that is JSON.
var gzipMagic = []byte("\x1f\x8b")

// unzipped is the body that KOS compressed although it was asked not to, at most maxAnswer+1 bytes of it. What is not
// gzip, or broken, stays as it is.
func unzipped(body []byte) []byte {
	if !bytes.HasPrefix(body, gzipMagic) || len(body) > maxAnswer {
		return body
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	clear, err := io.ReadAll(io.LimitReader(z, maxAnswer+1))
	if err != nil {
		return body
	}
	return clear
}

// transport has a connection for each of the few calls that the quota allows at a time.
func transport(connect time.Duration) http.RoundTripper {
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext: guarding(dialer.DialContext), TLSHandshakeTimeout: connect, // no proxy: KOS is on a private link
		MaxIdleConns: 16, MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
	}
}

// errBreaker is the cause of a call that the breaker did not let pass.
var errBreaker = errors.New("kos: breaker open")
