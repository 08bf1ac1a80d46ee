package change_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/ports"
)

// TestALongPollEndsWhenTheProcessLeaves with what is known then.
func TestALongPollEndsWhenTheProcessLeaves(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.SetDown(down())
		o, err := w.Request(t.Context(), w.me, w.command("5G-S"))
		require.NoError(t, err)
		left, start := make(chan struct{}), time.Now()
		time.AfterFunc(time.Second, func() { close(left) })
		got, err := w.Get(ports.WithShutdown(t.Context(), left), w.me, o.ID, 25*time.Second)
		require.NoError(t, err)
		require.False(t, got.State.Final())
		require.Equal(t, time.Second, time.Since(start))
	})
}
