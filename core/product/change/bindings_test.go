package change_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/line"
	"phonebill/core/product"
)

type lostBindings struct{}

func (lostBindings) Bind(context.Context, auth.UserID, line.Number, string) (bool, error) {
	return false, errors.New("the database is away")
}

// TestAHiccupOfTheBindingsParksNoOrder: an order is left to a person when the line is another customer's, and not when
// that cannot be looked up for the moment.
func TestAHiccupOfTheBindingsParksNoOrder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.me.CustomerID = ""
		o := w.unknown(t)
		w.Wait()
		w.Service = w.service() // a process that has not seen the account before
		w.Holders.Bindings = lostBindings{}
		require.Empty(t, w.work(t.Context(), 30*time.Second))
		open := w.read(t, o.ID)
		require.Equal(t, product.Unknown, open.State)
		require.Positive(t, open.Silences)

		w.Holders.Bindings = &w.bindings
		require.Empty(t, w.work(t.Context(), 10*time.Minute))
		require.Equal(t, product.Completed, w.read(t, o.ID).State)
	})
	bubble(t, func(t *testing.T, w *world) {
		o := w.unknown(t)
		w.customer(func(c *product.Customer) { c.CustomerID = "C2" })
		require.Empty(t, w.work(t.Context(), time.Minute))
		require.Equal(t, product.Parked, w.read(t, o.ID).State)
	})
}
