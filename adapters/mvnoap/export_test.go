package mvnoap

import "net/http"

// OverWire lets a test bring its own wire.
func OverWire(c *Client, wire http.RoundTripper) { c.wire = wire }
