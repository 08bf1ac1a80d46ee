package batch_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internal/batch"
)

var (
	errBad  = errors.New("a bad row")
	errDown = errors.New("down")
)

// table takes some time for each commit and refuses negative rows.
type table struct {
	mu      sync.Mutex
	takes   time.Duration
	down    bool
	commits [][]int
}

func (s *table) commit(ctx context.Context, rows []int) error {
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	for _, r := range rows {
		if r < 0 {
			return errBad
		}
	}
	s.commits = append(s.commits, rows)
	return nil
}

func (s *table) rows() []int { return slices.Concat(s.commits...) }

func bad(err error) bool { return errors.Is(err, errBad) }

func add(ctx context.Context, w *batch.Writer[int], rows ...int) []error {
	errs := make([]error, len(rows))
	var wg sync.WaitGroup
	for i, r := range rows {
		wg.Go(func() { errs[i] = w.Add(ctx, r) })
	}
	wg.Wait()
	return errs
}

func TestRowsOfManyShareACommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{takes: time.Millisecond}
		w := batch.New(batch.Options{Writers: 2}, s.commit)
		start := time.Now()
		for _, err := range add(t.Context(), w, make([]int, 1000)...) {
			require.NoError(t, err)
		}
		require.Len(t, s.rows(), 1000)
		require.LessOrEqual(t, len(s.commits), 6, "far fewer commits than rows")
		require.LessOrEqual(t, time.Since(start), 3*time.Millisecond)
	})
}

func TestWithADelayTheFirstWaitsForMoreRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{}
		w := batch.New(batch.Options{Delay: time.Millisecond}, s.commit)
		for _, err := range add(t.Context(), w, 1, 2, 3) {
			require.NoError(t, err)
		}
		require.Len(t, s.commits, 1)
	})
}

func TestOneBadRowFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{}
		w := batch.New(batch.Options{Delay: time.Millisecond, Splits: bad}, s.commit)
		errs := add(t.Context(), w, 1, 2, -3, 4, 5, 6, -7)
		require.Equal(t, []error{nil, nil, errBad, nil, nil, nil, errBad}, errs)
		require.ElementsMatch(t, []int{1, 2, 4, 5, 6}, s.rows())
	})
}

func TestAFailureOfTheStoreReachesAllAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{down: true}
		w := batch.New(batch.Options{Delay: time.Millisecond}, s.commit)
		require.Equal(t, []error{errDown, errDown, errDown}, add(t.Context(), w, 1, 2, 3))
		s.down = false
		require.Equal(t, []error{nil}, add(t.Context(), w, 4))
	})
}

func TestAHungCommitEndsAfterItsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{takes: time.Hour}
		w := batch.New(batch.Options{CommitTimeout: time.Second}, s.commit)
		require.ErrorIs(t, add(t.Context(), w, 1)[0], context.DeadlineExceeded)
	})
}

func TestAWaitingCallerMayLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{takes: 100 * time.Millisecond}
		w := batch.New(batch.Options{MaxRows: 1, Queue: 1}, s.commit)
		first := make(chan error, 1)
		go func() { first <- w.Add(t.Context(), 1) }()
		synctest.Wait() // its commit is under way
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		for _, err := range add(ctx, w, 2, 3) { // one in the queue, one before it
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.Equal(t, 50*time.Millisecond, time.Since(start))
		require.NoError(t, <-first)
		require.NoError(t, w.Add(t.Context(), 4))
		require.Equal(t, []int{1, 4}, s.rows(), "no other caller waits any more")
	})
}

func TestAFullQueueBlocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{takes: time.Millisecond}
		w := batch.New(batch.Options{MaxRows: 10, Queue: 10}, s.commit)
		for _, err := range add(t.Context(), w, make([]int, 200)...) {
			require.NoError(t, err, "nothing is dropped")
		}
		require.Len(t, s.rows(), 200)
		for _, c := range s.commits {
			require.LessOrEqual(t, len(c), 10)
		}
	})
}

func TestCloseDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{takes: time.Second}
		w := batch.New(batch.Options{MaxRows: 2}, s.commit)
		var errs []error
		added := make(chan struct{})
		go func() { defer close(added); errs = add(t.Context(), w, 1, 2, 3, 4, 5) }()
		synctest.Wait()
		w.Close()
		<-added
		require.Equal(t, make([]error, 5), errs)
		require.ElementsMatch(t, []int{1, 2, 3, 4, 5}, s.rows())
		require.ErrorIs(t, w.Add(t.Context(), 6), batch.ErrClosed)
		require.Len(t, s.rows(), 5)
	})
}

func TestRowsOfOneWriterKeepTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{takes: 10 * time.Millisecond}
		w := batch.New(batch.Options{MaxRows: 7}, s.commit)
		var want []int
		var wg sync.WaitGroup
		for n := range 50 {
			want = append(want, n)
			wg.Go(func() { require.NoError(t, w.Add(t.Context(), n)) })
			synctest.Wait()
		}
		wg.Wait()
		require.Equal(t, want, s.rows())
	})
}
