package kos

import (
	"context"
	"net/http"
	"net/http/httptest"
	"time"

	"phonebill/core/calendar"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// OverWire replaces the client's transport.
func OverWire(c *Client, wire http.RoundTripper) { c.wire = wire }

// RateLimiter is the rate limiter, for tests.
type RateLimiter struct{ *rateLimiter }

// NewRateLimiter is newRateLimiter.
func NewRateLimiter(q ports.Quota, b Bulkhead) *RateLimiter {
	return &RateLimiter{newRateLimiter(q, b)}
}

// Acquire is acquire for a call that needs no time.
func (l *RateLimiter) Acquire(
	ctx context.Context, lane quota.Lane, room Compartment, about line.Number,
) (release func(), err error) {
	return l.acquire(ctx, lane, room, about, 0)
}

// AcquireWith is acquire for a bill read that needs so much time.
func (l *RateLimiter) AcquireWith(
	ctx context.Context, needed time.Duration, about line.Number,
) (release func(), err error) {
	return l.acquire(ctx, quota.Read, billReads, about, needed)
}

// Waiting is outlook.
func (l *RateLimiter) Waiting() (quota.Shares, [len(quota.Shares{})]time.Duration) {
	return l.outlook()
}

// Compartment is the compartment.
type Compartment = compartment

// The compartments.
const (
	BillReads    = billReads
	ProductReads = productReads
	Changes      = changes
)

// Trust makes the client accept a test server's certificate.
func Trust(c *Client, srv *httptest.Server) {
	wire := c.wire.(*http.Transport) //nolint:forcetypeassert // newTransport returns one
	wire.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
}

// Declaration is what tests see of an operation's declaration.
type Declaration struct {
	Name  Operation
	Route string
}

// Declared lists the declarations of all operations.
func Declared() []Declaration {
	var all []Declaration
	for _, op := range allOperations() {
		all = append(all, Declaration{op.properties().name, op.properties().route})
	}
	return all
}

// AskAsProbe makes one call of the operation with its probe's question about the line.
func AskAsProbe(ctx context.Context, c *Client, name Operation, n line.Number) {
	for _, op := range allOperations() {
		if op.properties().name == name {
			op.sendProbe(ctx, c, product.Order{
				ID: c.deps.NewID(), TransactionID: c.deps.NewID(), Line: n, From: unsoldPlan, To: unsoldPlan,
				EffectiveDate: calendar.DateOf(c.deps.Now()),
			})
		}
	}
}
