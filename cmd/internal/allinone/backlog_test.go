package allinone_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheBacklogIsAMetric: both services tell it of their own databases.
func TestTheBacklogIsAMetric(t *testing.T) {
	t.Parallel()
	needSystem(t)
	for service, parts := range map[string][]string{
		"product": {`kind="orders",state="REQUESTED"`, `kind="orders",state="UNKNOWN"`, `kind="orders",state="PARKED"`},
		"bill":    {`kind="inquiries",state="PROCESSING"`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, running.Metrics[service], http.NoBody)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		raw, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		for _, labels := range append(parts, `kind="deliveries",state="PENDING"`, `kind="deliveries",state="PARKED"`) {
			require.Contains(t, string(raw), "phonebill_backlog{"+labels+"} ", service)
			require.Contains(t, string(raw), "phonebill_backlog_oldest_seconds{"+labels+"} ", service)
		}
	}
}
