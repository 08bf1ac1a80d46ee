package memory_test

import (
	"testing"
	"time"

	"phonebill/adapters/memory"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestRateLimiter(t *testing.T) {
	t.Parallel()
	portstest.RateLimiter(t, func(*testing.T) (one, two ports.RateLimiter) {
		one = &memory.RateLimiter{Now: time.Now}
		return one, one
	})
}
