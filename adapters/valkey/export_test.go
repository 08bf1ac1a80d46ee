package valkey

import "phonebill/core/auth"

// Owed tells how many changes the cache has missed.
func Owed(c *Client) int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.owed)
}

// Decode reads a message as a listener does.
func Decode(p *Push, message string) ([]auth.Revocation, error) { return p.decode(message) }
