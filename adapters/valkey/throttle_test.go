package valkey_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/core/throttle"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestThrottleKeepsTheContract(t *testing.T) {
	t.Parallel()
	portstest.Throttle(t, func(t *testing.T) (one, two ports.Throttle) {
		t.Helper()
		c := open(t)
		return valkey.NewThrottle(c.Client, c.vault, c.log), valkey.NewThrottle(c.another(t), c.vault, c.log)
	})
}

func TestThrottleOnMiniredis(t *testing.T) {
	t.Parallel()
	portstest.Throttle(t, func(t *testing.T) (one, two ports.Throttle) {
		t.Helper()
		mini := miniredis.RunT(t)
		connect := func() ports.Throttle {
			c, err := valkey.Open(t.Context(), valkey.Config{Addr: mini.Addr(), Mini: true, Timeout: time.Second})
			require.NoError(t, err)
			t.Cleanup(c.Close)
			return valkey.NewThrottle(c, memory.Vault{}, slog.New(slog.DiscardHandler))
		}
		return connect(), connect()
	})
}

// TestThrottleWithoutACache runs the suite with the cache out of reach: each instance counts for itself.
func TestThrottleWithoutACache(t *testing.T) {
	t.Parallel()
	portstest.Throttle(t, func(t *testing.T) (one, two ports.Throttle) {
		t.Helper()
		c := open(t)
		c.wire.cut()
		one = valkey.NewThrottle(c.Client, c.vault, c.log)
		return one, one
	})
}

func TestThrottleKeysHideAddressesAndExpire(t *testing.T) {
	t.Parallel()
	c := open(t)
	ok, _ := valkey.NewThrottle(c.Client, c.vault, c.log).Take(t.Context(), "192.0.2.77", throttle.Logins(600), time.Now())
	require.True(t, ok)
	keys := c.keys(t)
	require.Len(t, keys, 1)
	require.Regexp(t, `:throttle:v1:\{[0-9a-f]{64}\}$`, keys[0])
	ttl, err := c.raw.Do(t.Context(), c.raw.B().Pttl().Key(keys[0]).Build()).AsInt64()
	require.NoError(t, err)
	require.Positive(t, ttl)
	require.LessOrEqual(t, ttl, int64(102))
}
