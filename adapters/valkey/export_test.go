package valkey

import (
	"context"
	"net"
	"time"

	"phonebill/core/auth"
	"phonebill/core/ratelimit"
)

// Via returns a configuration whose client reaches a node by dial; nil = directly.
func (c Config) Via(dial func(ctx context.Context, addr string, d *net.Dialer) (net.Conn, error)) Config {
	c.dial = dial
	return c
}

// Slot returns the slot of a key in a cluster.
func Slot(key string) int { return slot(key) }

// Owed returns how many changes the cache has missed.
func Owed(c *Client) int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.owed)
}

// Decode reads a message as a subscriber does.
func Decode(p *Push, message string) ([]auth.Revocation, error) { return p.decode(message) }

// ApplyTrip makes one trip to the shared window of the key at a time of the test's own.
func ApplyTrip(
	ctx context.Context, c *Client, key string, p ratelimit.Policy, t ratelimit.Trip, now time.Time,
) (ratelimit.State, error) {
	s, err := readState(rateScript.Exec(ctx, *c.conn.Load(), []string{key}, rateArguments(p, t, now.UnixMicro())))
	return ratelimit.State(s), err
}

// Size returns how many callers are remembered.
func Size(r *RateLimiter) int { return r.size() }
