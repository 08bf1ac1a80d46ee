package spool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/spool"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
)

// typical returns an inquiry of typical length.
func typical(t *testing.T, n int) bill.Inquiry {
	t.Helper()
	number, err := line.Parse(fmt.Sprintf("010%08d", n))
	require.NoError(t, err)
	month, err := calendar.ParseMonth("2026-03")
	require.NoError(t, err)
	q := bill.Inquiry{
		ID: id.ID(uuid.Must(uuid.NewV7())), UserID: auth.UserID(fmt.Sprintf("customer%012d", n)),
		CustomerID: fmt.Sprintf("C%09d", n), Line: number, Month: month, RequestedAt: noon.Add(123456 * time.Microsecond),
	}
	c := bill.Copy{Version: id.ID(uuid.Must(uuid.NewV7())), AsOf: noon.Add(-time.Minute)}
	c.Bill.ProductName, c.Bill.Total = "5G 프리미어 플러스", 123456
	return q.Complete(c, freshness.FromCache, noon.Add(654321*time.Microsecond))
}

// TestTheSpoolHoldsTenMinutes is the size behind bar R6: with the bill database away for 600 s no cached bill is
// refused at 1,000 inquiries a second. It is scaled down a hundredfold: so many rows fit into a hundredth of the space,
// and the next ones are refused.
func TestTheSpoolHoldsTenMinutes(t *testing.T) {
	t.Parallel()
	const rows, scale = 600 * 1000, 100
	w := newWorld(t)
	require.NoError(t, w.Close())
	require.NoError(t, w.open(spool.DefaultMaxBytes/scale))
	w.store.set(true, false)
	for n := range rows / scale {
		require.NoError(t, w.Add(t.Context(), typical(t, n)), "row %d", n)
	}
	var err error
	for n := 0; err == nil && n < rows/scale; n++ {
		err = w.Add(t.Context(), typical(t, n))
	}
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "the bound is a bound")
	require.Positive(t, fault.From(err).RetryAfter())
}

// TestADamagedSpoolIsKeptAndReported: the disk returns garbage.
func TestADamagedSpoolIsKeptAndReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.set(true, false)
	require.NoError(t, w.Add(t.Context(), typical(t, 1)))
	require.NoError(t, w.Close())
	names, err := filepath.Glob(filepath.Join(w.dir, "0", "*.log"))
	require.NoError(t, err)
	require.Len(t, names, 1)
	content, err := os.ReadFile(names[0])
	require.NoError(t, err)
	content[len(content)-1] ^= 1
	require.NoError(t, os.WriteFile(names[0], content, 0o600))
	require.NoError(t, w.open(0))
	require.Contains(t, w.raised(), operations.HistoryDamaged)
	kept, err := os.ReadFile(names[0] + ".damaged")
	require.NoError(t, err)
	require.Equal(t, content, kept)
}
