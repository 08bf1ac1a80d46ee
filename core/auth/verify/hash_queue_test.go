package verify_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/auth/verify"
	"phonebill/core/fault"
)

// waiting starts a request that works for half a second when its turn has come, and waits until it stands in its line.
func waiting(q *verify.HashQueue, r verify.HashRequest, name string, order chan<- string) {
	go func() {
		back, err := q.Take(context.Background(), r)
		if err != nil {
			order <- name + " refused"
			return
		}
		order <- name
		time.Sleep(time.Second / 2)
		back()
	}()
	synctest.Wait()
}

func received(order <-chan string, n int) []string {
	got := make([]string, n)
	for i := range got {
		got[i] = <-order
	}
	return got
}

// TestAddressesTakeTurns: an address with many waiting delays another by one hash, and a known device waits for none of
// them.
func TestAddressesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, order := verify.NewHashQueue(1), make(chan string, 20)
		for n := range 3 {
			waiting(q, verify.HashRequest{Key: "192.0.2.1"}, "flood"+strconv.Itoa(n), order)
		}
		waiting(q, verify.HashRequest{Key: "192.0.2.2"}, "neighbour", order)
		waiting(q, verify.HashRequest{Key: "account:hong", Known: true}, "hong", order)
		require.Equal(t, []string{"flood0", "hong", "flood1"}, received(order, 3))
		waiting(q, verify.HashRequest{Key: "192.0.2.2"}, "late", order)
		require.Equal(t, []string{"neighbour", "flood2", "late"}, received(order, 3))
		time.Sleep(time.Second)
	})
}

// TestKnownDevicesDoNotStarveOthers: of four turns one goes to the others, so that a few accounts that never stop keep
// no new device out.
func TestKnownDevicesDoNotStarveOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, order := verify.NewHashQueue(1), make(chan string, 20)
		for n := range 5 {
			waiting(q, verify.HashRequest{Key: "account:" + strconv.Itoa(n%4), Known: true}, "known", order)
		}
		waiting(q, verify.HashRequest{Key: "192.0.2.1"}, "new", order)
		require.Equal(t, []string{"known", "known", "known", "known", "new", "known"}, received(order, 6))
		time.Sleep(time.Second)
	})
}

// TestAFullLineRefusesAtOnce, and a newcomer of another address displaces one of those with the most.
func TestAFullLineRefusesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := verify.NewHashQueue(1)
		back, err := q.Take(t.Context(), verify.HashRequest{Key: "first"})
		require.NoError(t, err)
		var refused atomic.Int64
		var all sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		flood := func(key string, n int) {
			for range n {
				all.Go(func() {
					if _, err := q.Take(ctx, verify.HashRequest{Key: key}); err != nil {
						refused.Add(1)
					}
				})
			}
			synctest.Wait()
		}
		flood("one", 70)
		require.EqualValues(t, 6, refused.Load(), "64 of one address wait")
		for n := range 15 {
			flood("other"+strconv.Itoa(n), 64)
		}
		require.EqualValues(t, 6, refused.Load())
		newcomer := make(chan error, 1)
		go func() {
			back, err := q.Take(t.Context(), verify.HashRequest{Key: "newcomer"})
			if err == nil {
				back()
			}
			newcomer <- err
		}()
		synctest.Wait()
		require.EqualValues(t, 7, refused.Load(), "one of those with the most made room")
		require.Equal(t, start, time.Now(), "no request waited to be refused")
		cancel()
		all.Wait()
		require.EqualValues(t, 70+15*64, refused.Load(), "a client that hangs up stops waiting")
		back()
		require.NoError(t, <-newcomer)
	})
}

func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := verify.NewHashQueue(1)
		back, err := q.Take(t.Context(), verify.HashRequest{Key: "a"})
		require.NoError(t, err)
		start := time.Now()
		_, err = q.Take(t.Context(), verify.HashRequest{Key: "b"})
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		require.Equal(t, 2*time.Second, fault.From(err).RetryAfter())
		require.Equal(t, 3*time.Second, time.Since(start))
		back()
		back() // a second time gives nothing back
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = q.Take(gone, verify.HashRequest{Key: "c"})
		require.NoError(t, err, "a free turn is given to a client that hung up: its guess is judged")
		_, err = q.Take(gone, verify.HashRequest{Key: "d"})
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	})
}

// TestNeverMoreThanTurnsAndAllServed: whatever the order, no more work than may, and each that stays is served.
func TestNeverMoreThanTurnsAndAllServed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 4).Draw(rt, "turns")
		keys := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 60).Draw(rt, "keys")
		synctest.Test(t, func(t *testing.T) {
			q := verify.NewHashQueue(most)
			var working, served atomic.Int64
			var all sync.WaitGroup
			for _, key := range keys {
				all.Go(func() {
					back, err := q.Take(t.Context(), verify.HashRequest{Key: strconv.Itoa(key), Known: key%2 == 0})
					if err != nil {
						t.Errorf("refused: %v", err)
						return
					}
					if working.Add(1) > int64(most) {
						t.Error("too many work")
					}
					time.Sleep(time.Millisecond)
					working.Add(-1)
					served.Add(1)
					back()
				})
			}
			all.Wait()
			if served.Load() != int64(len(keys)) {
				t.Error("a waiting request was forgotten")
			}
		})
	})
}
