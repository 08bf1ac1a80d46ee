package keyqueue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneDoPerKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q Queue[string]
		var inside, most int
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				ok, err := q.Do(t.Context(), "a", time.Minute, time.Second, func() (bool, error) {
					inside++
					most = max(most, inside)
					<-time.After(time.Millisecond)
					inside--
					return true, nil
				})
				if !ok || err != nil {
					t.Errorf("%v %v", ok, err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, most)
		require.Empty(t, q.lines)
	})
}

func TestDoRetriesWhenWokenOrAfterThePoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q Queue[int]
		q.Wake(1) // nothing waits
		began, tries := time.Now(), 0
		go func() {
			<-time.After(300 * time.Millisecond)
			q.Wake(2)
			q.Wake(1)
		}()
		ok, err := q.Do(t.Context(), 1, time.Minute, time.Second, func() (bool, error) {
			tries++
			return tries == 3, nil
		})
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 1300*time.Millisecond, time.Since(began), "first woken, then after the poll")
	})
}

func TestDoGivesUpAfterTheTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q Queue[int]
		never := func() (bool, error) { return false, nil }
		var all sync.WaitGroup
		for range 2 { // one tries in vain, the other waits in vain
			all.Go(func() {
				began := time.Now()
				ok, err := q.Do(t.Context(), 1, time.Second, 100*time.Millisecond, never)
				if ok || err != nil || time.Since(began) != time.Second {
					t.Errorf("%v %v after %v", ok, err, time.Since(began))
				}
			})
		}
		all.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		tried := false
		ok, _ := q.Do(ctx, 1, time.Second, time.Second, func() (bool, error) { tried = true; return false, nil })
		require.False(t, ok)
		require.True(t, tried, "the first one tries once")
		_, err := q.Do(t.Context(), 1, time.Second, time.Second, func() (bool, error) { return false, errors.New("trouble") })
		require.Error(t, err)
		require.Empty(t, q.lines)
	})
}
