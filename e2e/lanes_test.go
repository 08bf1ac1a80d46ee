package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spent is what a lane has spent of KOS within the last 60 s, as the product service's metrics tell it.
func (s *system) spent(t *testing.T, lane string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Metrics["product"], http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	_, value, found := strings.Cut(string(raw), `phonebill_kos_used{lane="`+lane+`"} `)
	require.True(t, found, "the ledger is away")
	value, _, _ = strings.Cut(value, "\n")
	return value
}

// TestChecksAreReads: a customer who tries out plans spends what readers may spend of KOS; changes alone spend what is
// kept for changes.
func TestChecksAreReads(t *testing.T) {
	t.Parallel()
	s := start(t, dataDir(t), append(listeners(t), "KOS_QUOTA_PER_MINUTE=100", "KOS_PER_CUSTOMER=0"))
	token, line := s.login(t, 0)
	wish := map[string]string{
		"lineNumber": line, "currentProductCode": "LTE-PREMIUM-001", "targetProductCode": "5G-PREMIUM-001",
	}
	post := func(path string) int {
		status, _, err := s.call(context.WithoutCancel(t.Context()), http.MethodPost, path, token, wish)
		require.NoError(t, err)
		return status
	}
	require.Eventually(t, func() bool { // a busy machine's first checks may be late
		return post("/products/change/validation") == http.StatusOK
	}, eventTimeout, time.Second)
	require.Equal(t, "0", s.spent(t, "change"))
	require.NotEqual(t, "0", s.spent(t, "read"))
	require.Contains(t, []int{http.StatusOK, http.StatusAccepted}, post("/products/change"))
	require.Eventually(t, func() bool { return s.spent(t, "change") != "0" }, eventTimeout, 100*time.Millisecond)
}
