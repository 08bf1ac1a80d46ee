// Package mvnoap delivers results to the MVNO's application server: one signed POST per attempt (Standard Webhooks),
// judged by its status alone (ADR 3, docs/spec/ap.md). The outbox decides when and how often to try. Begin with Client
// (mvnoap.go).
package mvnoap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/mvnoap/internal/apgen"
	"phonebill/core/delivery"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/ports"
)

// Config is the address of the MVNO AP server, with the limits of calling it.
type Config struct {
	URL     string // base of /notifications/…
	Secrets *Secrets
	Timeout time.Duration // of one attempt, its turn included; 0 = 10 s (S-DELIVERY-TIMEOUT)
	Breaker BreakerPolicy // zero = DefaultBreaker
	Rate    int           // attempts a second at most, of both kinds together; 0 = no limit
}

// Deps are what a Client works with; all but Metrics are needed.
type Deps struct {
	Now     ports.Clock
	Log     *slog.Logger
	Alerts  ports.Alerts
	Metrics prometheus.Registerer // nil = not exported
}

// maxIdle is how many connections stay open between attempts: as many as there are attempts at once.
const maxIdle = 128

// Client makes publishers, which share its circuit breaker. It is safe for concurrent use.
type Client struct {
	base    string
	secrets *Secrets
	timeout time.Duration
	now     ports.Clock
	log     *slog.Logger
	wire    http.RoundTripper
	breaker *breaker
	limiter *rateLimiter
}

// New returns a client; it makes no call. The error names what is wrong with cfg.
func New(cfg Config, deps Deps) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("mvnoap: %q is not an http or https address", cfg.URL)
	}
	if cfg.Secrets == nil {
		return nil, errSecrets
	}
	c := &Client{base: cfg.URL, secrets: cfg.Secrets, timeout: cfg.Timeout, now: deps.Now, log: deps.Log,
		limiter: newRateLimiter(cfg.Rate)}
	if c.timeout <= 0 {
		c.timeout = 10 * time.Second
	}
	dialer := &net.Dialer{Timeout: min(c.timeout, 3*time.Second)}
	c.wire = &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: c.timeout, MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
	}
	c.breaker = newBreaker(cfg.Breaker, deps)
	return c, nil
}

// Breaker returns the state of the circuit breaker.
func (c *Client) Breaker() operations.Breaker { return c.breaker.status() }

// BillResults publishes results of inquiries.
func (c *Client) BillResults() ports.Publisher[ports.BillResult] {
	return publisher[ports.BillResult]{c, func(i delivery.Item[ports.BillResult]) any { return billResult(i) },
		func(p apgen.NotifyBillResultParams, body io.Reader) (*http.Request, error) {
			return apgen.NewNotifyBillResultRequestWithBody(c.base, &p, "application/json", body)
		}}
}

// ChangeResults publishes results of plan changes.
func (c *Client) ChangeResults() ports.Publisher[ports.ChangeResult] {
	return publisher[ports.ChangeResult]{c, func(i delivery.Item[ports.ChangeResult]) any { return changeResult(i) },
		func(p apgen.NotifyBillResultParams, body io.Reader) (*http.Request, error) {
			params := apgen.NotifyProductChangeResultParams(p)
			return apgen.NewNotifyProductChangeResultRequestWithBody(c.base, &params, "application/json", body)
		}}
}

type publisher[T any] struct {
	client  *Client
	payload func(delivery.Item[T]) any
	request func(apgen.NotifyBillResultParams, io.Reader) (*http.Request, error)
}

// Ready returns how many of n attempts the circuit breaker allows now, and the rate limit within a second.
func (p publisher[T]) Ready(n int) int { return p.client.limiter.ready(p.client.breaker.ready(n)) }

// Publish makes one attempt, at its turn. Waiting for the turn is part of the attempt's time, from which the leases of
// lines are calculated.
func (p publisher[T]) Publish(ctx context.Context, item delivery.Item[T]) delivery.Attempt {
	caller := ctx
	ctx, cancel := context.WithTimeout(caller, p.client.timeout)
	defer cancel()
	if !p.client.limiter.turn(ctx) {
		return delivery.Attempt{Outcome: delivery.NotAttempted, Note: "the rate limit allows no attempt soon enough"}
	}
	body, err := json.Marshal(p.payload(item))
	if err != nil {
		return delivery.Attempt{Outcome: delivery.Rejected, Note: "the result cannot be written as JSON"}
	}
	params, err := p.client.sign(item.ID, body)
	if err != nil {
		return delivery.Attempt{Outcome: delivery.Failed, Note: "the result cannot be signed"}
	}
	req, err := p.request(params, bytes.NewReader(body))
	if err != nil {
		return delivery.Attempt{Outcome: delivery.Failed, Note: "the request cannot be made"}
	}
	return p.client.breaker.guard(func() (delivery.Attempt, bool) {
		a := p.client.send(ctx, item.ID, req)
		return a, caller.Err() != nil // a shutdown says nothing about the AP server
	})
}

// sign covers the exact bytes that are sent. The id is the same in every attempt, the time is the attempt's.
func (c *Client) sign(event id.ID, body []byte) (apgen.NotifyBillResultParams, error) {
	at := c.now()
	p := apgen.NotifyBillResultParams{WebhookId: event.String(), WebhookTimestamp: strconv.FormatInt(at.Unix(), 10)}
	keys := c.secrets.live()
	signatures := make([]string, len(keys))
	for i, key := range keys {
		var err error
		if signatures[i], err = key.Sign(p.WebhookId, at, body); err != nil {
			return p, err
		}
	}
	p.WebhookSignature = strings.Join(signatures, " ")
	return p, nil
}

func (c *Client) send(ctx context.Context, event id.ID, req *http.Request) delivery.Attempt {
	trace := ports.TraceOf(ctx)
	if trace.RequestID != "" {
		req.Header.Set("X-Request-ID", trace.RequestID)
	}
	if parent := trace.Traceparent(); parent != "" {
		req.Header.Set("Traceparent", parent)
	}
	res, err := c.wire.RoundTrip(req.WithContext(ctx)) // not http.Client: a redirect is no delivery
	if err != nil {
		return delivery.Attempt{Outcome: delivery.Failed, Note: noteOf(err)}
	}
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // the status decides; reading on keeps the connection
	_ = res.Body.Close()
	a := delivery.Attempt{Outcome: outcomeOf(res.StatusCode), Note: "HTTP " + strconv.Itoa(res.StatusCode)}
	if isRedirect(res.StatusCode) {
		a.Note += ": a redirect, which is not followed; MVNOAP_URL must name the place itself"
	}
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		a.RetryAfter = retryAfter(res.Header.Get("Retry-After"), c.now())
	}
	if a.Outcome == delivery.Rejected {
		c.log.WarnContext(ctx, "the MVNO AP server rejected a result", slog.String("requestId", event.String()),
			slog.Int("status", res.StatusCode))
	}
	return a
}

// isRedirect reports a 3xx status. A signed result is never sent on to another address. Redirects are most often a
// temporary fault of a proxy before the receiver (a login page, a server in maintenance), so another attempt may
// succeed.
func isRedirect(status int) bool { return status >= 300 && status < 400 }

// outcomeOf returns the table of docs/deliveries.md.
func outcomeOf(status int) delivery.Outcome {
	switch {
	case status >= 200 && status < 300:
		return delivery.Accepted
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests,
		isRedirect(status), status >= 500:
		return delivery.Failed
	default:
		return delivery.Rejected
	}
}

// maxPause is the longest pause that the receiver can ask for.
const maxPause = 15 * time.Minute

// retryAfter reads the header, seconds or a date (RFC 9110); what is no such thing is 0.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(max(0, min(seconds, int(maxPause/time.Second)))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(0, at.Sub(now)), maxPause)
	}
	return 0
}

func noteOf(err error) string {
	var dial *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "given up while waiting"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "no connection"
	default:
		return "connection broken"
	}
}
