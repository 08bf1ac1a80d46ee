package portstest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/operations"
	"phonebill/ports"
)

// Alerts is the suite of ports.Alerts. received returns how many alerts of a kind a person could have received.
func Alerts(t *testing.T, open func(t *testing.T) (alerts ports.Alerts, received func(operations.AlertKind) int)) {
	t.Helper()
	t.Run("every alert is raised, also for a caller that has gone", func(t *testing.T) {
		t.Parallel()
		alerts, received := open(t)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				alerts.Raise(gone, operations.Alert{Kind: operations.OverQuota, Subject: "bill.inquiry", Note: "HTTP 429"})
			})
		}
		all.Wait()
		alerts.Raise(t.Context(), operations.Alert{Kind: operations.LedgerAway})
		require.Equal(t, 20, received(operations.OverQuota))
		require.Equal(t, 1, received(operations.LedgerAway))
		require.Zero(t, received(operations.LedgerBack))
	})
}
