package kos_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/quota"
	"phonebill/ports"
)

// TestACallSaysThatItIsOnItsWay before KOS has answered, and one that is not made never says so.
func TestACallSaysThatItIsOnItsWay(t *testing.T) {
	t.Parallel()
	var sent, before atomic.Int32
	call := ports.Call{Lane: quota.Read, OnSent: func() { sent.Add(1) }}
	l := serve(t, func(w http.ResponseWriter, r *http.Request) {
		before.Store(sent.Load())
		says(http.StatusOK, envelope(t, "E001", nil))(w, r)
	})
	_, err := l.Customer(t.Context(), call, number(t, twoLines[0]))
	require.Error(t, err)
	require.EqualValues(t, 1, before.Load())

	sent.Store(0)
	l.quota.Window.Budget = 0
	_, err = l.Customer(t.Context(), call, number(t, twoLines[0]))
	require.ErrorIs(t, err, ports.ErrNotAsked)
	_, err = connect(t, deadPort(t)).Customer(t.Context(), call, number(t, twoLines[0]))
	require.ErrorIs(t, err, ports.ErrNotAsked)
	require.Zero(t, sent.Load())
}
