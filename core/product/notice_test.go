package product_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/product"
)

func TestNoticesAreRetriedWithBackoff(t *testing.T) {
	t.Parallel()
	for attempts, want := range map[int]time.Duration{
		0: 10 * time.Second, 1: 20 * time.Second, 6: 640 * time.Second, 7: 15 * time.Minute, 8: 15 * time.Minute,
		1 << 40: 15 * time.Minute,
	} {
		n := product.Notice{Attempts: attempts}
		require.Equal(t, want/2, n.Wait(0), attempts)
		require.Equal(t, want*3/4, n.Wait(0.5), attempts)
		require.Less(t, n.Wait(0.999), want, attempts)
	}
}
