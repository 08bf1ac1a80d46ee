package change_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestACheckAloneSpendsNothingOfWhatOrdersMay: whoever tries plans out, over and over, is a reader; KOS's share for changes is for orders.
func TestACheckAloneSpendsNothingOfWhatOrdersMay(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		reader := newWorld(t).kos // the same KOS in another lane
		checks := *w.Checks
		checks.KOS, checks.Renewing = reader, reader
		w.Checks = &checks
		for _, to := range []string{"5G", "5G-S", "3G"} {
			_, err := w.Validate(t.Context(), w.me, w.command(to))
			require.NoError(t, err)
		}
		require.Zero(t, w.kos.Calls)
		require.Equal(t, 4, reader.Calls, "the plan list once, the customer each time")
		_, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, 4, reader.Calls)
		require.NotZero(t, w.kos.Calls, "an order asks in its own lane")
	})
}
