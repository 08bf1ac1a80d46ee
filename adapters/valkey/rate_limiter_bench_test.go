package valkey_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/valkey"
	"phonebill/adapters/valkey/valkeytest"
	"phonebill/core/personal"
	"phonebill/core/ratelimit"
)

// BenchmarkRateLimiter is the cost of one decision on a real cache.
func BenchmarkRateLimiter(b *testing.B) {
	addr, password, prefix := valkeytest.New(b)
	c, err := valkey.Open(b.Context(), valkey.Config{
		Addr: addr, Password: personal.NewSecret(password), Namespace: prefix, Timeout: time.Second,
	})
	require.NoError(b, err)
	b.Cleanup(c.Close)
	for _, bench := range []struct {
		name    string
		quota   int
		callers int
	}{
		{"service at 10,000 a minute, blocks", 10_000, 1},
		{"many users, settled behind", 100, 40_000},
		{"users near their limit, a trip each", 100, 100_000_000},
		{"a user over the limit", 1, 1},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := limiter(b, c, 3, nil)
			p := ratelimit.Policy{Quota: bench.quota, Window: time.Minute}
			if bench.callers > 1_000_000 {
				p.Quota = 2 // nothing passes before it is counted
				bench.callers = 40_000
			}
			callers := make([]string, bench.callers)
			for n := range callers {
				callers[n] = b.Name() + strconv.Itoa(n)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				r.Take(b.Context(), callers[n%len(callers)], p)
			}
		})
	}
}
