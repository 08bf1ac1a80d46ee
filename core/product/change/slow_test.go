package change_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
)

// TestACheckOfASlowLineEndsAtTheNextTry: KOS takes 5 s, the customer waits 2.7 s. The first try is 503 and costs the
// calls, the second has what they brought.
func TestACheckOfASlowLineEndsAtTheNextTry(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.FactsForPreview.Policy.Timeout, w.FactsForPreview.Policy.MaxWait = 10*time.Second, 2700*time.Millisecond
		w.kos.takes = 5 * time.Second
		_, err := w.PreCheck(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		<-time.After(fault.From(err).RetryAfter())
		v, err := w.PreCheck(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.True(t, v.OK())
		require.Equal(t, 2, w.kos.Calls, "the customer and the plan list, once")
	})
}
