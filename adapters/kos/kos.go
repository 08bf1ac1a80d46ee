package kos

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Config says where KOS is.
type Config struct {
	URL     string        // origin, without a path
	Keys    *Credentials  // sent as Bearer
	Connect time.Duration // to connect, TLS included; 0 = 1 s (S-KOS-CONNECT)
}

// Deps are what a Client works with; all but Metrics are needed.
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

// Client implements ports.BillSource, CustomerSource, PlanSource and PlanChanger. It is safe for concurrent use.
type Client struct {
	origin  string
	keys    *Credentials
	deps    Deps
	lane    quota.Lane
	asking  quota.Lane // of questions about orders
	probe   bool       // its calls are probes of half-open breakers
	gate    *turnstile
	paces   paces
	wire    http.RoundTripper
	metrics *metrics

	noQuery  *noQuery
	unlogged *unlogged
}

var (
	_ ports.BillSource     = (*Client)(nil)
	_ ports.CustomerSource = (*Client)(nil)
	_ ports.PlanSource     = (*Client)(nil)
	_ ports.PlanChanger    = (*Client)(nil)
)

// New answers a client; it makes no call. The error says what is wrong with cfg.
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
		origin: cfg.URL, keys: cfg.Keys, deps: deps, lane: quota.Read, asking: quota.Change, gate: newTurnstile(deps.Quota, deps.Bulkhead),
		paces: newPaces(),
		wire:  transport(cfg.Connect), metrics: m, noQuery: &noQuery{}, unlogged: &unlogged{},
	}, nil
}

// In is the same client whose reads spend of that lane; New's is quota.Read. Changes and questions about them spend of quota.Change. In the
// lane Refresh a call waits 500 ms at most for its turn, in Prefetch not at all; both are then told ErrNotAsked with a Retry-After.
func (c *Client) In(lane quota.Lane) *Client {
	same := *c
	same.lane = lane
	return &same
}

// Behind is In for questions about orders as well, asked to compare books and not to carry an order on.
func (c *Client) Behind(lane quota.Lane) *Client {
	same := c.In(lane)
	same.asking = lane
	return same
}

// Waiting tells how many callers of each lane wait for their turn, and how long one more would: until the quota has a call for the lane,
// and then for those before him at the pace of the budget. It is an estimate.
func (c *Client) Waiting() (waiting quota.Shares, eta [len(quota.Shares{})]time.Duration) {
	return c.gate.outlook()
}

// Breakers tells how the breakers are, one per operation and always in the same order.
func (c *Client) Breakers() []operations.Breaker { return c.deps.Breakers.States() }

// Bill asks for the bill of one line and month, once.
func (c *Client) Bill(ctx context.Context, request id.ID, n line.Number, m calendar.Month) (bill.Bill, error) {
	req, err := kosgen.NewInquireBillRequest(c.origin, kosgen.BillInquiryRequest{
		RequestId: request.String(), LineNumber: n.Digits(), InquiryMonth: m.Compact(),
	})
	if err != nil {
		return bill.Bill{}, fmt.Errorf("kos: %w", err)
	}
	var told bill.Bill
	out := c.call(ctx, question{operation: billInquiry, lane: c.lane, line: n, request: request, http: req, read: func(body []byte) error {
		told, err = readBill(body, n, m)
		return err
	}})
	if out.verdict == answered {
		c.checkSum(ctx, told)
	}
	return told, out.readError()
}

// checkSum counts bills whose stated total is not the sum of their parts; they are shown all the same.
func (c *Client) checkSum(ctx context.Context, b bill.Bill) {
	if b.AddsUp() {
		return
	}
	c.metrics.mismatches.Inc()
	c.deps.Logger.WarnContext(ctx, "a bill does not add up", slog.String("month", b.Month.String()),
		slog.String("productCode", b.ProductCode))
}

// Customer asks for the customer of a line, once.
func (c *Client) Customer(ctx context.Context, n line.Number) (product.Customer, error) {
	req, err := kosgen.NewGetCustomerRequest(c.origin, n.Digits())
	if err != nil {
		return product.Customer{}, fmt.Errorf("kos: %w", err)
	}
	var told product.Customer
	out := c.call(ctx, question{operation: customerGet, lane: c.lane, line: n, http: req, read: func(body []byte) error {
		told, err = readCustomer(body, n)
		return err
	}})
	return told, out.readError()
}

// Plans asks for the plans of all operators, once.
func (c *Client) Plans(ctx context.Context) ([]product.Plan, error) {
	req, err := kosgen.NewListProductsRequest(c.origin, nil)
	if err != nil {
		return nil, fmt.Errorf("kos: %w", err)
	}
	var told []product.Plan
	out := c.call(ctx, question{operation: productsList, lane: c.lane, http: req, read: func(body []byte) error {
		told, err = readPlans(body)
		return err
	}})
	return told, out.readError()
}
