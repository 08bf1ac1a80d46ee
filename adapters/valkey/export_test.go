package valkey

// Owed tells how many changes the cache has missed.
func Owed(c *Client) int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.owed)
}
