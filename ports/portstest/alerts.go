package portstest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/alert"
	"phonebill/ports"
)

// Alerts is the suite of ports.Alerts. received returns how many alerts of a kind a person could have received.
func Alerts(t *testing.T, open func(t *testing.T) (alerts ports.Alerts, received func(alert.Kind) int)) {
	t.Helper()
	t.Run("every alert is raised, also for a caller that has gone", func(t *testing.T) {
		t.Parallel()
		alerts, received := open(t)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				alerts.Raise(gone, alert.Alert{Kind: alert.OverQuota, Subject: "bill.inquiry", Note: "HTTP 429"})
			})
		}
		all.Wait()
		alerts.Raise(t.Context(), alert.Alert{Kind: alert.LedgerAway})
		require.Equal(t, 20, received(alert.OverQuota))
		require.Equal(t, 1, received(alert.LedgerAway))
		require.Zero(t, received(alert.LedgerBack))
	})
}
