package lifecycle_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/request/lifecycle"
)

func TestAnAttemptThatEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		d := lifecycle.StartDetached(&running, func() string { time.Sleep(time.Second); return "done" },
			func(string) { t.Error("its caller has the outcome") })
		outcome, ended := d.WaitFor(2 * time.Second)
		d.Leave()
		require.True(t, ended)
		require.Equal(t, "done", outcome)
		running.Wait()
	})
}

// TestAnAttemptThatEndsLate: its outcome is dealt with after its caller has left, and the attempt counts as running
// until then, also while the caller is still busy with the answer.
func TestAnAttemptThatEndsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		began, answered, got := time.Now(), false, ""
		d := lifecycle.StartDetached(&running, func() string { time.Sleep(2 * time.Second); return "done" },
			func(outcome string) {
				require.True(t, answered, "what the caller did before it left is seen")
				time.Sleep(time.Second)
				got = outcome
			})
		go func() {
			defer d.Leave()
			_, ended := d.WaitFor(time.Second)
			require.False(t, ended)
			time.Sleep(3 * time.Second) // the answer takes until long after the attempt has ended
			answered = true
		}()
		running.Wait()
		require.Equal(t, "done", got)
		require.Equal(t, 5*time.Second, time.Since(began))
	})
}

func TestEachAttemptHasItsOutcome(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	outcomes, errs := lifecycle.Each([]int{1, 2, 3}, func(n int) (int, error) {
		if n%2 == 1 {
			return 0, odd
		}
		return 10 * n, nil
	})
	require.Equal(t, []int{0, 20, 0}, outcomes)
	require.Equal(t, []error{odd, nil, odd}, errs)
}
