package portstest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Allowances is the suite of ports.Allowances. open returns what two instances hold of the same allowances.
func Allowances(t *testing.T, open func(t *testing.T, allowed quota.Allowance) (one, other ports.Allowances)) {
	t.Helper()
	const owner, stranger = auth.UserID("share-owner"), auth.UserID("share-stranger")
	two := quota.Allowance{{Calls: 2, Per: time.Hour}}
	requireSpent := func(t *testing.T, err error, most time.Duration) {
		t.Helper()
		requireFault(t, fault.RateLimitExceeded, err)
		require.ErrorIs(t, err, ports.ErrNotAsked)
		require.Positive(t, fault.From(err).RetryAfter())
		require.LessOrEqual(t, fault.From(err).RetryAfter(), most)
	}
	t.Run("what is spent is spent for all instances, and for that customer alone", func(t *testing.T) {
		t.Parallel()
		one, other := open(t, two)
		require.NoError(t, one.Spend(t.Context(), owner))
		require.NoError(t, one.Check(t.Context(), owner))
		require.NoError(t, other.Check(t.Context(), owner), "looking counts nothing")
		require.NoError(t, other.Spend(t.Context(), owner))
		for _, a := range []ports.Allowances{one, other, one} {
			requireSpent(t, a.Check(t.Context(), owner), time.Hour)
			requireSpent(t, a.Spend(t.Context(), owner), time.Hour)
		}
		require.NoError(t, other.Spend(t.Context(), stranger))
	})
	t.Run("a call that was not made is given back", func(t *testing.T) {
		t.Parallel()
		one, other := open(t, two)
		one.GiveBack(t.Context(), owner)
		for range 5 {
			require.NoError(t, one.Spend(t.Context(), owner))
			one.GiveBack(t.Context(), owner)
		}
		require.NoError(t, other.Spend(t.Context(), owner))
		require.NoError(t, one.Spend(t.Context(), owner))
		requireSpent(t, other.Spend(t.Context(), owner), time.Hour)
	})
	t.Run("what was accepted is counted beyond the allowance", func(t *testing.T) {
		t.Parallel()
		one, other := open(t, two)
		for range 3 {
			one.Count(t.Context(), owner)
		}
		requireSpent(t, other.Spend(t.Context(), owner), time.Hour)
	})
	t.Run("time gives back", func(t *testing.T) {
		t.Parallel()
		one, other := open(t, quota.Allowance{{Calls: 1, Per: time.Second}})
		require.NoError(t, one.Spend(t.Context(), owner))
		require.Eventually(t, func() bool { return other.Spend(t.Context(), owner) == nil }, 20*time.Second,
			10*time.Millisecond)
	})
	t.Run("of parallel calls no more are counted than allowed", func(t *testing.T) {
		t.Parallel()
		one, other := open(t, quota.Allowance{{Calls: 10, Per: time.Hour}})
		var spent atomic.Int32
		var all sync.WaitGroup
		for range 15 {
			for _, a := range []ports.Allowances{one, other} {
				all.Go(func() {
					if a.Spend(t.Context(), owner) == nil {
						spent.Add(1)
					}
				})
			}
		}
		all.Wait()
		require.EqualValues(t, 10, spent.Load())
	})
	t.Run("without a limit everything is allowed", func(t *testing.T) {
		t.Parallel()
		one, _ := open(t, nil)
		for range 100 {
			require.NoError(t, one.Check(t.Context(), owner))
			require.NoError(t, one.Spend(t.Context(), owner))
		}
	})
}
