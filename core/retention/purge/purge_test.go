package purge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/retention/purge"
)

// store has that many records that are due.
type store struct {
	due, batches int
	broken       error
}

func (s *store) purge(_ context.Context, years, n int) (int, bool, error) {
	if s.broken != nil && s.batches == 2 {
		return 0, false, s.broken
	}
	s.batches++
	n = min(n, s.due, years*1000)
	s.due -= n
	return n, n > 0, nil
}

func TestEverythingDueIsDroppedInSmallBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := &store{due: 1050}, &store{due: 3}
		counts := map[string]int{}
		s := purge.Service{
			Histories: []purge.History{{"one", 2, one.purge}, {"none", 2, (&store{}).purge}, {"two", 1, two.purge}}, Batch: 100,
			Pause: time.Second, Done: func(_ context.Context, history string, n int) { counts[history] = n },
		}
		began := time.Now()
		n, err := s.Step(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		require.Zero(t, one.due+two.due)
		require.Equal(t, 12, one.batches)
		require.Equal(t, 12*time.Second, time.Since(began))
		require.Equal(t, map[string]int{"one": 1050, "two": 3}, counts)
	})
}

// TestAPauseFollowsEveryBatch: between two looks there is a pause, whether something was dropped or not.
func TestAPauseFollowsEveryBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := purge.Service{Histories: []purge.History{{"kept for good", 2,
			func(context.Context, int, int) (int, bool, error) {
				calls++
				return 0, calls < 10, nil
			}}}, Batch: 100, Pause: time.Second}
		began := time.Now()
		_, err := s.Step(t.Context())
		require.NoError(t, err)
		require.Equal(t, 10, calls)
		require.Equal(t, 9*time.Second, time.Since(began))
	})
}

func TestItContinuesWhereItStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := &store{due: 1000, broken: errors.New("away")}
		counts := 0
		s := purge.Service{
			Histories: []purge.History{{"one", 2, one.purge}}, Batch: 100, Pause: time.Second,
			Done: func(_ context.Context, _ string, n int) { counts += n },
		}
		_, err := s.Step(t.Context())
		require.ErrorContains(t, err, "retention of one: away")
		one.broken = nil
		ctx, stop := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer stop()
		_, err = s.Step(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = s.Step(t.Context())
		require.NoError(t, err)
		require.Zero(t, one.due)
		require.Equal(t, 1000, counts)
	})
}

// TestAFailingHistoryDoesNotStopTheNext: bills that cannot be dropped keep no call log for good.
func TestAFailingHistoryDoesNotStopTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := &store{due: 1000, broken: errors.New("too slow")}
		also, fine := &store{due: 1000, broken: errors.New("away")}, &store{due: 250}
		counts := map[string]int{}
		s := purge.Service{
			Histories: []purge.History{{"bills", 2, broken.purge}, {"others", 2, also.purge}, {"kos calls", 1, fine.purge}},
			Batch:     100, Pause: time.Second, Done: func(_ context.Context, history string, n int) { counts[history] = n },
		}
		_, err := s.Step(t.Context())
		require.ErrorContains(t, err, "retention of bills: too slow")
		require.ErrorContains(t, err, "retention of others: away")
		require.Equal(t, map[string]int{"bills": 200, "others": 200, "kos calls": 250}, counts)
	})
}
