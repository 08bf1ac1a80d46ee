package valkey

import (
	"context"
	"net"

	"phonebill/core/auth"
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
