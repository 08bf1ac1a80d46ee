package kos

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Config says where KOS is and how a Client identifies itself.
type Config struct {
	URL     string        // origin, without a path
	Keys    *Credentials  // sent as Bearer token
	Connect time.Duration // limit for connecting, TLS included; 0 = 1 s
}

// Deps are what a Client works with. All are needed except Bulkhead and Metrics.
type Deps struct {
	Quota    ports.Quota
	Log      ports.CallLog
	Breakers *Breakers
	Alerts   ports.Alerts
	Bulkhead Bulkhead // zero = DefaultBulkhead
	Now      ports.Clock
	NewID    ports.IDs // ids of call log entries
	Logger   *slog.Logger
	Metrics  prometheus.Registerer // nil = not exported
}

// Client implements ports.BillSource, MonthSource, CustomerSource, PlanSource and PlanChanger. It is safe for
// concurrent use.
type Client struct {
	origin    string
	keys      *Credentials
	deps      Deps
	probe     bool // its calls are probes of half-open breakers
	limiter   *rateLimiter
	latencies latencies
	wire      http.RoundTripper
	metrics   *metrics

	statusQuery *statusQuery
	pending     *pendingCalls
}

// New returns a client. It makes no call. The error says what is wrong with cfg.
func New(cfg Config, deps Deps) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("kos: %q is not an http or https origin", cfg.URL)
	}
	if cfg.Keys == nil {
		return nil, errKeys
	}
	if cfg.Connect <= 0 {
		cfg.Connect = time.Second
	}
	if deps.Bulkhead == (Bulkhead{}) {
		deps.Bulkhead = DefaultBulkhead()
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, fmt.Errorf("kos: %w", err)
	}
	return &Client{
		origin: cfg.URL, keys: cfg.Keys, deps: deps,
		limiter: newRateLimiter(deps.Quota, deps.Bulkhead), latencies: newLatencies(),
		wire: newTransport(cfg.Connect), metrics: m, statusQuery: &statusQuery{}, pending: &pendingCalls{},
	}, nil
}

// Waiting returns how many callers of each lane wait for their turn, and how long one more would wait: until the quota
// has a call for the lane, and then for those ahead at the rate of the budget. The durations are estimates.
func (c *Client) Waiting() (waiting quota.Shares, eta [len(quota.Shares{})]time.Duration) {
	return c.limiter.outlook()
}

// Breakers returns the states of the circuit breakers, one per operation and always in the same order.
func (c *Client) Breakers() []operations.Breaker { return c.deps.Breakers.States() }

// Bill asks for the bill of one line and month, once. A call in the lane quota.Refresh waits 500 ms at most for its
// turn and one in quota.Prefetch does not wait at all; both then return ErrNotAsked with a Retry-After. So it is with
// all reads.
func (c *Client) Bill(ctx context.Context, call ports.Call, n line.Number, m calendar.Month) (bill.Bill, error) {
	b, err := readOf(ctx, c, call, billInquiry, billQuestion{request: call.RequestID, line: n, month: m})
	if err == nil {
		c.checkSum(ctx, b)
	}
	return b, err
}

// checkSum counts bills whose stated total is not the sum of their parts. They are shown all the same.
func (c *Client) checkSum(ctx context.Context, b bill.Bill) {
	if b.AddsUp() {
		return
	}
	c.metrics.mismatches.Inc()
	c.deps.Logger.WarnContext(ctx, "a bill does not add up", slog.String("month", b.Month.String()),
		slog.String("productCode", b.ProductCode))
}

// Months asks for the months of a line that have a bill, once. Entries that are no month are left out and counted.
func (c *Client) Months(ctx context.Context, call ports.Call, n line.Number) ([]calendar.Month, error) {
	list, err := readOf(ctx, c, call, billMonths, n)
	if list.unreadable > 0 {
		c.metrics.oddMonths.Add(float64(list.unreadable))
		c.deps.Logger.WarnContext(ctx, "kos states months that cannot be read", slog.Int("entries", list.unreadable))
	}
	return list.months, err
}

// Customer asks for the customer of a line, once.
func (c *Client) Customer(ctx context.Context, call ports.Call, n line.Number) (product.Customer, error) {
	return readOf(ctx, c, call, customerGet, n)
}

// Plans asks for the plans of all operators, once.
func (c *Client) Plans(ctx context.Context, call ports.Call) ([]product.Plan, error) {
	return readOf(ctx, c, call, productsList, struct{}{})
}
