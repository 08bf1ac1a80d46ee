package ctl

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth/bulkimport"
)

// TestProgressForetellsTheEndByWhatIsDone: rows that are read ahead or there already shorten nothing.
func TestProgressForetellsTheEndByWhatIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, 1000, english)
		shown := func() string {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			defer out.Reset()
			return out.String()
		}
		require.Contains(t, shown(), "0 rows, 0 added, 0 there already, 0 refused, 0 rows/s, ? left", "from the start")
		sleep := func(d time.Duration) { <-time.After(d) }
		sleep(2 * redrawInterval)
		require.Contains(t, shown(), "0 rows", "also while the first batch is hashed")
		p.reached(bulkimport.Result{Read: 50, Skipped: 50}, 500)
		sleep(10 * time.Second)
		require.Contains(t, shown(), "? left", "rows that were there already foretell nothing")
		p.reached(bulkimport.Result{Read: 60, Added: 10, Skipped: 50}, 600)
		sleep(redrawInterval + time.Millisecond)
		require.Contains(t, shown(), "10 added, 50 there already, 0 refused, 5 rows/s, 39s left")
		sleep(time.Minute)
		require.NotContains(t, shown(), ", 0s left", "not before the last row is done")
		p.reached(bulkimport.Result{Read: 100, Added: 50, Skipped: 50}, 1000)
		p.end()
		require.Contains(t, shown(), "100 rows, 50 added, 50 there already, 0 refused, 1 rows/s, 0s left   \n")
	})
}
