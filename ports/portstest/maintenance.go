package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/operations"
	"phonebill/ports"
)

// Maintenance is the suite of ports.MaintenanceSwitch.
func Maintenance(t *testing.T, open func(t *testing.T) ports.MaintenanceSwitch) {
	t.Helper()
	t.Run("the last one counts", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		now := time.Date(2026, 3, 15, 1, 0, 0, 0, time.UTC)
		current := func() operations.Maintenance {
			m, err := s.Current(t.Context())
			require.NoError(t, err)
			return m
		}
		require.Zero(t, current())
		require.NoError(t, s.Set(t.Context(), operations.Maintenance{}), "there is nothing to end")
		first := operations.Maintenance{From: now, Until: now.Add(time.Hour), Scope: operations.AllOperations, By: "a"}
		second := operations.Maintenance{
			From: now.Add(time.Hour), Until: now.Add(2 * time.Hour), Scope: operations.ChangesOnly, Message: "점검 중", By: "b",
		}
		for _, m := range []operations.Maintenance{first, second} {
			require.NoError(t, s.Set(t.Context(), m))
			require.Equal(t, m, current())
		}
		require.NoError(t, s.Set(t.Context(), operations.Maintenance{}))
		require.Zero(t, current())
	})
}
