package catalog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/ports"
)

// TestScreensOfALineOfAnotherCustomer show nothing of the new holder of the number, also from a copy, and staff are
// alerted of it once.
func TestScreensOfALineOfAnotherCustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kos.AddCustomer(product.Customer{
		Line: w.line, CustomerID: "C2", PlanCode: "LTE", OperatorCode: "MVNO", LineStatus: product.LineActive,
	}, nil)
	w.me.CustomerID = "C1"
	w.me.Lines = w.me.Lines[:1]
	for range 3 {
		screen, err := w.Menu(t.Context(), w.me, line.Number{})
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		require.Zero(t, screen)
		screen, err = w.Customer(t.Context(), w.me, w.line)
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		require.Zero(t, screen)
		offer, err := w.Available(t.Context(), w.me, catalog.Query{})
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		require.Zero(t, offer)
		w.kos.SetDown(fault.New(fault.ServiceUnavailable).RetryIn(time.Second).Because(ports.ErrNotAsked))
		w.now = w.now.Add(5 * time.Hour) // the copy is an old one now
	}
	require.Len(t, w.alerts.Raised(), 1)
	require.Equal(t, operations.LineElsewhere, w.alerts.Raised()[0].Kind)

	w.kos.SetDown(nil)
	_, err := w.Customer(t.Context(), auth.Principal{UserID: "new", CustomerID: "C2", Lines: w.me.Lines}, w.line)
	require.NoError(t, err)
}
