package mvnoap_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/mvnoap"
	"phonebill/core/delivery"
	"phonebill/core/product"
	"phonebill/ports"
)

// limitedPublisher returns a publisher of so many results a second to a receiver that accepts everything.
func limitedPublisher(t *testing.T, perSecond int) (ports.Publisher[ports.ChangeResult], *receiver) {
	t.Helper()
	r := &receiver{status: http.StatusOK}
	c, err := mvnoap.New(mvnoap.Config{URL: "http://ap.test", Secrets: fixed(t, secret("one")), Rate: perSecond},
		silentDeps())
	require.NoError(t, err)
	mvnoap.OverWire(c, r)
	return c.ChangeResults(), r
}

func TestResultsAreSentAtTheConfiguredRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, ap := limitedPublisher(t, 10)
		item := changeItem(t, 1, product.Order{State: product.Completed})
		require.Equal(t, 11, p.Ready(100), "what comes within a second")
		require.Equal(t, 3, p.Ready(3))
		begun := time.Now()
		var all sync.WaitGroup
		for range 21 {
			all.Go(func() { require.Equal(t, delivery.Accepted, p.Publish(t.Context(), item).Outcome) })
		}
		synctest.Wait()
		require.Zero(t, p.Ready(100), "the next second is given away")
		all.Wait()
		require.Equal(t, 2*time.Second, time.Since(begun), "the first at once, then one each 100 ms")
		require.EqualValues(t, 21, ap.asked.Load())
		time.Sleep(time.Hour) // virtual; rest saves nothing up
		require.Equal(t, 11, p.Ready(100))
	})
}

func TestADistantTurnIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, ap := limitedPublisher(t, 1)
		item := changeItem(t, 1, product.Order{State: product.Completed})
		var all sync.WaitGroup
		var held atomic.Int64
		for range 20 {
			all.Go(func() {
				if p.Publish(t.Context(), item).Outcome == delivery.NotAttempted {
					held.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 6, ap.asked.Load(), "at 0 to 5 s")
		require.EqualValues(t, 14, held.Load())
	})
}

func TestACancelledAttemptSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, ap := limitedPublisher(t, 1)
		item := changeItem(t, 1, product.Order{State: product.Completed})
		require.Equal(t, delivery.Accepted, p.Publish(t.Context(), item).Outcome)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Equal(t, delivery.NotAttempted, p.Publish(ctx, item).Outcome)
		require.EqualValues(t, 1, ap.asked.Load())
	})
}

func TestWithoutARateNoAttemptWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, ap := limitedPublisher(t, 0)
		item := changeItem(t, 1, product.Order{State: product.Completed})
		begun := time.Now()
		for range 100 {
			require.Equal(t, delivery.Accepted, p.Publish(t.Context(), item).Outcome)
		}
		require.Zero(t, time.Since(begun))
		require.EqualValues(t, 100, ap.asked.Load())
		require.Equal(t, 1600, p.Ready(1600))
	})
}

// TestTheTurnIsPartOfTheAttempt: a line is leased for three attempts' time, and a result may be begun while one is left
// (dispatch). With a receiver that hangs, waiting for the turn must not add to it.
func TestTheTurnIsPartOfTheAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := mvnoap.New(mvnoap.Config{URL: "http://ap.test", Secrets: fixed(t, secret("one")), Rate: 1}, silentDeps())
		require.NoError(t, err)
		mvnoap.OverWire(c, hanging{})
		p := c.ChangeResults()
		item := changeItem(t, 1, product.Order{State: product.Completed})
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				begun := time.Now()
				require.Equal(t, delivery.Failed, p.Publish(t.Context(), item).Outcome)
				require.Equal(t, 10*time.Second, time.Since(begun))
			})
		}
		all.Wait()
	})
}

// hanging is a receiver that never responds.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestATurnIsGivenBack: attempts cancelled while they wait delay no other, and one cancelled before takes no turn.
func TestATurnIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, ap := limitedPublisher(t, 1)
		item := changeItem(t, 1, product.Order{State: product.Completed})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 {
			require.Equal(t, delivery.NotAttempted, p.Publish(ctx, item).Outcome)
		}
		require.Equal(t, 2, p.Ready(9), "no turn is taken")
		begun := time.Now()
		require.Equal(t, delivery.Accepted, p.Publish(t.Context(), item).Outcome)
		require.Zero(t, time.Since(begun))

		leaving, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 4 { // turns at 1 to 4 s
			all.Go(func() { require.Equal(t, delivery.NotAttempted, p.Publish(leaving, item).Outcome) })
		}
		synctest.Wait()
		require.Zero(t, p.Ready(9))
		cancel()
		all.Wait()
		require.Equal(t, 1, p.Ready(9), "the one at 1 s")
		for range 5 {
			all.Go(func() { require.Equal(t, delivery.Accepted, p.Publish(t.Context(), item).Outcome) })
		}
		all.Wait()
		require.Equal(t, 5*time.Second, time.Since(begun), "at 1 to 5 s")
		require.EqualValues(t, 6, ap.asked.Load())
	})
}

// TestATurnThatWasGivenBackIsNotSavedUp: after a rest it is one a second again.
func TestATurnThatWasGivenBackIsNotSavedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _ := limitedPublisher(t, 1)
		item := changeItem(t, 1, product.Order{State: product.Completed})
		p.Publish(t.Context(), item)
		leaving, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { p.Publish(leaving, item) })
		synctest.Wait()
		cancel()
		all.Wait()
		time.Sleep(time.Hour) // virtual
		require.Equal(t, 2, p.Ready(9))
	})
}
