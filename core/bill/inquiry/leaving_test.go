package inquiry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/ports"
)

// TestALongPollEndsWhenTheProcessLeaves with what is known then.
func TestALongPollEndsWhenTheProcessLeaves(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(0, notAsked())
		r := w.ask(t)
		left, start := make(chan struct{}), time.Now()
		time.AfterFunc(time.Second, func() { close(left) })
		got, err := w.Get(ports.WithShutdown(t.Context(), left), w.me, r.Inquiry.ID, 25*time.Second)
		require.NoError(t, err)
		require.Equal(t, bill.Processing, got.Inquiry.Status)
		require.Equal(t, time.Second, time.Since(start))
	})
}
