package kos

import (
	"context"
	"net/http"
	"net/http/httptest"
	"time"

	"phonebill/core/line"
	"phonebill/core/quota"
	"phonebill/ports"
)

// OverWire lets a test bring its own wire.
func OverWire(c *Client, wire http.RoundTripper) { c.wire = wire }

// Turnstile is the turnstile, for tests.
type Turnstile struct{ *turnstile }

// NewTurnstile is newTurnstile.
func NewTurnstile(q ports.Quota, b Bulkhead) *Turnstile {
	return &Turnstile{newTurnstile(q, b)}
}

// Pass is pass.
func (t *Turnstile) Pass(ctx context.Context, lane quota.Lane, room Compartment, who line.Number) (func(), error) {
	return t.pass(ctx, lane, room, who, 0)
}

// PassWith is pass for a call that needs so much time.
func (t *Turnstile) PassWith(ctx context.Context, need time.Duration, who line.Number) (func(), error) {
	return t.pass(ctx, quota.Read, billReads, who, need)
}

// Waiting is outlook.
func (t *Turnstile) Waiting() (quota.Shares, [len(quota.Shares{})]time.Duration) { return t.outlook() }

// Compartment is the compartment.
type Compartment = compartment

// The compartments.
const (
	BillReads    = billReads
	ProductReads = productReads
	Changes      = changes
)

// Trust makes the client believe in a test server's certificate.
func Trust(c *Client, srv *httptest.Server) {
	wire := c.wire.(*http.Transport) //nolint:forcetypeassert // transport makes one
	wire.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
}
