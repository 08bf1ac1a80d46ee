package valkey

import (
	"context"
	"net"

	"phonebill/core/auth"
)

// Via answers a configuration whose client reaches a node by dial; nil = straight.
func (c Config) Via(dial func(ctx context.Context, addr string, d *net.Dialer) (net.Conn, error)) Config {
	c.dial = dial
	return c
}

// Slot answers where a cluster keeps a key.
func Slot(key string) int { return slot(key) }

// Owed tells how many changes the cache has missed.
func Owed(c *Client) int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.owed)
}

// Decode reads a message as a listener does.
func Decode(p *Push, message string) ([]auth.Revocation, error) { return p.decode(message) }
