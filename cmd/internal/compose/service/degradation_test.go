package service_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/compose/service"
	"phonebill/core/operations"
)

// TestAUnitFollowsWhatIsAway: two failed checks in a row are an outage, a check that hangs fails, and what others
// report counts at once.
func TestAUnitFollowsWhatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tools := service.RealTools(slog.New(slog.DiscardHandler))
		b := service.Begin("test", service.Listen{}, tools)
		var database, cache atomic.Bool // away
		var kos atomic.Uint32
		b.DegradedWithout(operations.DatabaseAway, func(context.Context) error {
			if database.Load() {
				return errors.New("no connection")
			}
			return nil
		})
		b.DegradedWithout(operations.CacheAway, func(ctx context.Context) error {
			if cache.Load() {
				<-ctx.Done()
			}
			return ctx.Err()
		})
		b.DegradedBy(func() operations.Causes { return operations.Causes(kos.Load()) })
		require.Empty(t, b.Degradation().Causes, "before it runs")
		ctx, stop := context.WithCancel(t.Context())
		for _, work := range b.Unit.Workers {
			go work(ctx)
		}
		after := func(d time.Duration) string {
			time.Sleep(d) // of the test's own clock
			synctest.Wait()
			return b.Degradation().Causes.String()
		}
		require.Empty(t, after(time.Millisecond))
		started := b.Degradation().Since
		database.Store(true)
		require.Empty(t, after(500*time.Millisecond), "one failed check")
		require.Equal(t, "DATABASE_AWAY", after(500*time.Millisecond))
		require.True(t, b.Degradation().Since.After(started))
		cache.Store(true)
		require.Equal(t, "DATABASE_AWAY, CACHE_AWAY", after(1500*time.Millisecond))
		database.Store(false)
		kos.Store(uint32(operations.Causes(0).With(operations.KOSAway)))
		require.Equal(t, "CACHE_AWAY, KOS_AWAY", after(time.Second))
		cache.Store(false)
		kos.Store(0)
		require.Empty(t, after(time.Second))
		stop()
		synctest.Wait()
	})
}
