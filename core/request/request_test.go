package request_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/fault"
	"phonebill/core/request"
)

var (
	noon  = time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	retry = request.Retry{Attempts: 3, FirstWait: 2 * time.Second, MaxWait: 5 * time.Second}
)

func TestAfterAnAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attempts int
		outcome  request.Outcome
		status   request.Status
		next     time.Duration // from now on; 0 = never
	}{
		"completed": {1, request.Outcome{Status: request.Completed, Result: []byte("ok")}, request.Completed, 0},
		"failed": {1, request.Outcome{
			Status: request.Failed, Code: fault.ValidationFailed,
		}, request.Failed, 0},
		"no answer":              {1, request.Outcome{}, request.Processing, time.Second},
		"no answer again":        {2, request.Outcome{Note: "TIMEOUT"}, request.Processing, 2 * time.Second},
		"no answer at last":      {3, request.Outcome{}, request.Parked, 0},
		"needs a decision":       {1, request.Outcome{Status: request.Parked}, request.Parked, 0},
		"asked to wait":          {1, request.Outcome{RetryAfter: time.Minute}, request.Processing, time.Minute},
		"completed at last":      {3, request.Outcome{Status: request.Completed}, request.Completed, 0},
		"attempts out of bounds": {99, request.Outcome{}, request.Parked, 0},
	} {
		r := request.Request{
			Status: request.Processing, Attempts: c.attempts, NextAttemptAt: noon,
		}.After(c.outcome, retry, noon, 0)
		require.Equal(t, c.status, r.Status, name)
		if c.next == 0 {
			require.Zero(t, r.NextAttemptAt, name)
		} else {
			require.Equal(t, noon.Add(c.next), r.NextAttemptAt, name)
		}
		require.Equal(t, c.status.Final(), !r.ProcessedAt.IsZero(), name)
		require.Equal(t, c.outcome.Note, r.Note, name)
	}
}

func TestWaitsGrowWithinBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := request.Retry{Attempts: 1000, FirstWait: time.Second, MaxWait: time.Minute}
		attempts, rnd := rapid.IntRange(1, 998).Draw(t, "attempts"), rapid.Float64Range(0, 0.999).Draw(t, "rnd")
		wait := func(n int) time.Duration {
			r := request.Request{Status: request.Processing, Attempts: n}.After(request.Outcome{}, p, noon, rnd)
			return r.NextAttemptAt.Sub(noon)
		}
		require.GreaterOrEqual(t, wait(attempts), 500*time.Millisecond)
		require.LessOrEqual(t, wait(attempts), time.Minute)
		require.GreaterOrEqual(t, wait(attempts+1), wait(attempts))
	})
}

func TestOnlyWhatIsParkedIsResumed(t *testing.T) {
	t.Parallel()
	for _, s := range []request.Status{request.Processing, request.Completed, request.Failed, request.Cancelled} {
		_, err := request.Request{Status: s}.Resumed(noon)
		require.ErrorIs(t, err, fault.New(fault.StateConflict), s)
	}
	r, err := request.Request{Status: request.Parked, Attempts: 3}.Resumed(noon)
	require.NoError(t, err)
	require.Equal(t, request.Request{Status: request.Processing, NextAttemptAt: noon}, r)
}
