package kos_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/core/fault"
	"phonebill/core/quota"
	"phonebill/ports"
)

// TestBackgroundCallsDelayNoOther: a refresh waits half a second for a place, a prefetch not at all.
func TestBackgroundCallsDelayNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, a := newDoors(roomy, narrow), number(t, twoLines[0])
		d.wait("out", quota.Read, a)
		for _, c := range []struct {
			lane  quota.Lane
			waits time.Duration
		}{{quota.Refresh, 500 * time.Millisecond}, {quota.Prefetch, 0}} {
			start := time.Now()
			_, err := d.Acquire(t.Context(), c.lane, kos.BillReads, a)
			require.ErrorIs(t, err, ports.ErrNotAsked, c.lane)
			require.Equal(t, narrow.Interval, fault.From(err).RetryAfter(), "the pace of the budget: %s", c.lane)
			require.Equal(t, c.waits, time.Since(start), c.lane)
		}
		patient := make(chan error, 1)
		go func() {
			over, err := d.Acquire(context.Background(), quota.Refresh, kos.BillReads, a)
			if err == nil {
				over()
			}
			patient <- err
		}()
		time.Sleep(400 * time.Millisecond)
		d.end()
		require.NoError(t, <-patient, "a place got free in time")
		for _, lane := range quota.Lanes() {
			over, err := d.Acquire(t.Context(), lane, kos.BillReads, a)
			require.NoError(t, err, "with a place there is nothing to wait for")
			over()
		}
	})
}

// TestTheLastPlaceIsForAWaitingCustomer: work ahead of time never fills a compartment.
func TestTheLastPlaceIsForAWaitingCustomer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, a := newDoors(roomy, kos.DefaultBulkhead()), number(t, twoLines[0])
		d.wait("prefetch", quota.Prefetch, a)
		d.wait("refresh", quota.Refresh, a)
		for _, lane := range []quota.Lane{quota.Refresh, quota.Prefetch} {
			_, err := d.Acquire(t.Context(), lane, kos.BillReads, a)
			require.ErrorIs(t, err, ports.ErrNotAsked)
		}
		start := time.Now()
		d.wait("read", quota.Read, a)
		require.Equal(t, []string{"prefetch", "refresh", "read"}, d.names())
		require.Equal(t, start, time.Now())
		for range 3 {
			d.end()
		}
	})
}

// TestARefreshThatGetsItsTurnHasAllTheTimeItNeeds: the limit is for the turn, not for the call.
func TestARefreshThatGetsItsTurnHasAllTheTimeItNeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := pipe(t, slowly(2*time.Second, says(200, envelope(t, "E002", nil))))
		refresh := ports.Call{Lane: quota.Refresh, RequestID: request}
		_, err := l.Bill(t.Context(), refresh, number(t, twoLines[0]), month(t, "2026-11"))
		require.Equal(t, fault.BillNotFound, fault.From(err).Code())
	})
}

// TestWithoutBudgetBackgroundCallsAreRefusedAtOnce, honestly: when the lane's own place gets free.
func TestWithoutBudgetBackgroundCallsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, a := newDoors(quota.Window{Budget: 1, Per: 10 * time.Second}, kos.DefaultBulkhead()), number(t, twoLines[0])
		d.wait("first", quota.Read, a)
		start := time.Now()
		for _, lane := range []quota.Lane{quota.Refresh, quota.Prefetch} {
			_, err := d.Acquire(t.Context(), lane, kos.BillReads, a)
			require.ErrorIs(t, err, ports.ErrNotAsked)
			require.Equal(t, 10*time.Second, fault.From(err).RetryAfter(), lane)
		}
		require.Equal(t, start, time.Now())
		d.end()
	})
}

func TestWaitingCountsCallersAndEstimatesTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := kos.DefaultBulkhead()
		b.Interval = time.Second
		d, a := newDoors(
			quota.Window{Budget: 2, Per: 10 * time.Second, Reserve: quota.Shares{quota.Change: 1}},
			b,
		), number(
			t,
			twoLines[0],
		)
		none, eta := d.Waiting()
		require.Zero(t, none)
		require.Zero(t, eta, "no caller waits and nothing is known against it")
		d.wait("first", quota.Read, a)
		d.wait("patient", quota.Read, a)
		d.wait("as patient", quota.Read, a)
		time.Sleep(4 * time.Second)
		waiting, eta := d.Waiting()
		require.Equal(t, quota.Shares{quota.Read: 2}, waiting)
		require.Equal(t, [...]time.Duration{0, 6*time.Second + 2*time.Second, 2 * time.Second, 2 * time.Second}, eta,
			"the lane of changes has its reserve; the others stand behind two readers, whose lane has no call for six seconds")
		d.wait("change", quota.Change, a)
		d.end()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"first", "change", "patient", "as patient"}, d.names())
		for range 3 {
			d.end()
		}
	})
}
