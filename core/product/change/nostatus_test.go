package change_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/ports"
)

func noQuery(context.Context, ports.Call, product.Order) product.Answer {
	return product.Answer{Kind: product.AnswerNoQuery}
}

func noAnswer() error { return fault.New(fault.ServiceUnavailable).Because(ports.ErrNoAnswer) }

func transient() error { return fault.New(fault.ServiceUnavailable).Because(ports.ErrTransient) }

// TestALineThatKOSSaysNothingAboutIsParked, where KOS cannot be asked about transactions: a question about the line
// that had no use is a question. They go on for a day in gaps, and not over and over.
func TestALineThatKOSSaysNothingAboutIsParked(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]error{
		"E999": transient(), "silence": noAnswer(),
		"nonsense": fault.New(fault.ServiceUnavailable).Because(errors.New("malformed")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				o := w.unknown(t)
				looks := 0
				w.kos.onLook = func(context.Context, line.Number) error {
					looks++
					return trouble
				}
				require.Empty(t, w.every(t.Context(), 10*time.Second, 25*time.Hour))
				end := w.read(t, o.ID)
				require.Equal(t, product.Parked, end.State)
				require.Equal(t, 1, end.Sends)
				require.Greater(t, looks, 20)
				require.Less(t, looks, 3000)
				require.GreaterOrEqual(t, end.Silences, looks)
			})
		})
	}
	bubble(t, func(t *testing.T, w *world) {
		o := w.unknown(t)
		w.kos.onLook = func(context.Context, line.Number) error { return fault.New(fault.LineNotFound) }
		require.Empty(t, w.work(t.Context(), 15*time.Second))
		require.Equal(t, product.Parked, w.read(t, o.ID).State, "the line was there when the order was checked")
	})
	bubble(t, func(t *testing.T, w *world) {
		o := w.unknown(t)
		w.kos.onLook = func(context.Context, line.Number) error { return away() }
		require.Empty(t, w.every(t.Context(), 10*time.Second, 25*time.Hour))
		require.Equal(t, product.Unknown, w.read(t, o.ID).State, "a question that never left is none")
		w.kos.onLook = nil
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
	})
}

// unknown is an order whose answer was lost, on a KOS that cannot be asked about transactions.
func (w *world) unknown(t *testing.T) product.Order {
	t.Helper()
	w.kos.onAsk = noQuery
	w.kos.then(w.kos.dropReply)
	o, err := w.Request(t.Context(), w.me, w.command("5G"))
	require.NoError(t, err)
	time.Sleep(3 * time.Second)
	require.Equal(t, product.Unknown, w.read(t, o.ID).State)
	return o.Order
}
