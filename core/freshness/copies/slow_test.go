package copies_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/freshness"
)

// TestASlowAnswerIsThereForTheNextTry: the asker's time is over before KOS answers. The question goes on, over all
// processes there is one at a time, and a caller that comes again within the Retry-After finds its answer.
func TestASlowAnswerIsThereForTheNextTry(t *testing.T) {
	t.Parallel()
	for takes, tries := range map[time.Duration]int{5 * time.Second: 1, 9 * time.Second: 2} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(2)
			w.takes = takes
			q := w.query()
			q.Policy.Timeout, q.Policy.MaxWait = 10*time.Second, 2700*time.Millisecond
			late := 0
			for try := range 4 {
				began := time.Now()
				got, err := w.processes[try%2].Get(t.Context(), q)
				require.LessOrEqual(t, time.Since(began), q.Policy.MaxWait)
				if err == nil {
					require.Equal(t, 1, got.Value.call)
					break
				}
				late++
				require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
				require.Positive(t, fault.From(err).RetryAfter())
				<-time.After(fault.From(err).RetryAfter())
			}
			require.Equal(t, tries, late)
			require.Equal(t, 1, w.calls)
			got, err := w.processes[1].Get(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, freshness.FromCache, got.Source)
		})
	}
}
