package change_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// TestAnOrderNotesWhyKOSCouldNotBeAsked, in its check, when it is sent and when it is asked about.
func TestAnOrderNotesWhyKOSCouldNotBeAsked(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.kos.SetDown(fault.New(fault.ServiceUnavailable).Because(
			errors.Join(ports.ErrNotAsked, ports.NotAskedError("QUOTA"))))
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, product.Requested, o.State)
		require.Equal(t, "QUOTA", w.read(t, o.ID).Note)
		w.kos.SetDown(nil)
		w.kos.then(func(context.Context, ports.Call, product.Order) product.Answer {
			return product.Answer{Kind: product.AnswerNotSent, RetryAfter: 30 * time.Second, Why: "OPEN"}
		})
		require.Empty(t, w.work(t.Context(), 10*time.Second))
		o.Order = w.read(t, o.ID)
		require.Equal(t, []any{product.Validated, "OPEN"}, []any{o.State, o.Note})
	})
}

func TestCallsForACheckAreMadeForItsOrder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		var made id.ID
		w.kos.then(func(_ context.Context, call ports.Call, _ product.Order) product.Answer {
			made = call.RequestID
			return product.Answer{Kind: product.AnswerAccepted, Code: "0000"}
		})
		o, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, o.ID, made)
	})
}
