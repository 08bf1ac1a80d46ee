package change_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// TestAPersonHasKOSAskedAgain: a parked order raises one alert; two persons send it back, and it goes on.
func TestAPersonHasKOSAskedAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var heard []id.ID
		w.Parked = func(_ context.Context, o product.Order) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, o.ID)
		}
		w.kos.then(w.kos.dropReply)
		w.kos.onAsk = func(context.Context, ports.Call, product.Order) product.Answer {
			return product.Answer{Kind: product.AnswerUnknown}
		}
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Empty(t, w.every(t.Context(), 10*time.Second, 25*time.Hour))
		require.Equal(t, product.Parked, w.read(t, o.ID).State)
		require.Equal(t, []id.ID{o.ID}, heard)

		w.kos.onAsk = nil // KOS can tell now
		for _, by := range []auth.UserID{"kim", "lee"} {
			_, err := w.orders.Parked().Resolve(t.Context(), o.ID, product.Resolution{
				Outcome: product.OutcomeAskAgain, Reason: "KOS 복구됨", By: by, At: time.Now(),
			}, nil)
			require.NoError(t, err)
		}
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
		require.Equal(t, 1, w.kos.Applied())
	})
}
