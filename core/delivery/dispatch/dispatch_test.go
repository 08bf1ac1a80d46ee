package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/alert"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/delivery/dispatch"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/ports"
)

var errBackend = errors.New("backend is in trouble")

type outbox struct {
	*memory.ChangeOutbox
	claim, settle error
	beforeSettle  func()
}

func (o *outbox) Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]delivery.Item[ports.ChangeResult], error) {
	if o.claim != nil {
		return nil, o.claim
	}
	return o.ChangeOutbox.Claim(ctx, now, lease, n)
}

func (o *outbox) Settle(
	ctx context.Context, i delivery.Item[ports.ChangeResult], a delivery.Attempt, s delivery.State, now, next time.Time,
) error {
	if f := o.beforeSettle; f != nil {
		o.beforeSettle = nil
		f()
	}
	if o.settle != nil {
		return o.settle
	}
	return o.ChangeOutbox.Settle(ctx, i, a, s, now, next)
}

type world struct {
	*dispatch.Service[ports.ChangeResult]
	orders    memory.Orders
	outbox    *outbox
	publisher memory.Publisher[ports.ChangeResult]
	alerts    memory.Alerts
	now       time.Time
}

func newWorld() *world {
	w := &world{now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	w.outbox = &outbox{ChangeOutbox: w.orders.Outbox()}
	w.Service = &dispatch.Service[ports.ChangeResult]{
		Outbox: w.outbox, Publisher: &w.publisher, Now: func() time.Time { return w.now }, Random: func() float64 { return 0 },
		Alerts: &w.alerts, Lease: 30 * time.Second, Batch: 10,
	}
	return w
}

// finish stores a final order of the line.
func (w *world) finish(t *testing.T, n byte, number string) {
	t.Helper()
	l, err := line.Parse(number)
	require.NoError(t, err)
	o := product.Order{ID: id.ID{15: n}, Line: l, State: product.Requested, EffectiveDate: calendar.DateOf(w.now)}
	require.NoError(t, w.orders.Add(t.Context(), o))
	o.State, o.ProcessedAt = product.Completed, w.now
	require.NoError(t, w.orders.Save(t.Context(), o))
}

func (w *world) step(t *testing.T) int {
	t.Helper()
	n, err := w.Step(t.Context())
	require.NoError(t, err)
	return n
}

func TestResultsAreToldInOrderPerLine(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.finish(t, 1, "01012345678")
	w.finish(t, 2, "01012345678")
	w.finish(t, 3, "01087654321")
	require.Equal(t, 2, w.step(t), "one of each line at a time")
	require.Equal(t, 1, w.step(t))
	require.Zero(t, w.step(t))
	told := w.publisher.Told()
	require.Len(t, told, 3)
	require.Equal(t, id.ID{15: 2}, told[2].ID)
	require.Equal(t, int64(2), told[2].Sequence)
	require.Equal(t, product.Completed, told[2].Body.Order.State)
}

func TestFailuresAreTriedAgainAndHoldTheLineOnly(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.publisher.Next = []delivery.Attempt{{Outcome: delivery.Failed}, {Outcome: delivery.Failed}, {Outcome: delivery.Accepted}}
	w.finish(t, 1, "01012345678")
	require.Equal(t, 1, w.step(t))
	w.finish(t, 2, "01012345678")
	require.Zero(t, w.step(t), "the second waits for the first")
	w.now = w.now.Add(time.Second)
	require.Equal(t, 1, w.step(t))
	w.now = w.now.Add(time.Second)
	require.Zero(t, w.step(t), "the wait doubles")
	w.now = w.now.Add(time.Second)
	require.Equal(t, 1, w.step(t))
	require.Equal(t, 1, w.step(t))
	told := w.publisher.Told()
	require.Equal(t, []int{0, 1, 2, 0}, []int{told[0].Attempts, told[1].Attempts, told[2].Attempts, told[3].Attempts})
	require.Equal(t, told[0].ID, told[2].ID, "one webhook-id in every attempt")
}

func TestARejectedEventIsParkedAndTheLineGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.publisher.Next = []delivery.Attempt{{Outcome: delivery.Rejected, Note: "422"}}
	w.finish(t, 1, "01012345678")
	w.finish(t, 2, "01012345678")
	require.Equal(t, 1, w.step(t))
	require.Equal(t, 1, w.step(t))
	w.now = w.now.Add(time.Hour)
	require.Zero(t, w.step(t))
	require.Len(t, w.publisher.Told(), 2)
	require.Equal(t, []alert.Alert{{Kind: alert.DeliveryParked, Subject: id.ID{15: 1}.String(), Note: "422"}}, w.alerts.Raised())
}

// TestAReceiverThatIsLeftAlone: nothing is claimed while it is, and few results while it is tried.
func TestAReceiverThatIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for n, number := range []string{"01012345678", "01087654321", "01055554444"} {
		w.finish(t, byte(n+1), number)
	}
	none, two := 0, 2
	w.publisher.Most, w.outbox.claim = &none, errBackend
	require.Zero(t, w.step(t), "the outbox is not even asked")
	w.publisher.Most, w.outbox.claim = &two, nil
	require.Equal(t, 2, w.step(t))
	w.publisher.Most = nil
	require.Equal(t, 1, w.step(t))
	require.Len(t, w.publisher.Told(), 3)
}

// TestAnAttemptThatWasNotMadeCostsNothing: the item is due again when its lease is over, with as many attempts as before.
func TestAnAttemptThatWasNotMadeCostsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.publisher.Next = []delivery.Attempt{{Outcome: delivery.Failed}, {Outcome: delivery.Held}, {Outcome: delivery.Accepted}}
	w.finish(t, 1, "01012345678")
	require.Equal(t, 1, w.step(t))
	w.now = w.now.Add(72 * time.Hour)
	require.Equal(t, 1, w.step(t))
	require.Zero(t, w.step(t), "leased")
	w.now = w.now.Add(w.Lease)
	require.Equal(t, 1, w.step(t))
	told := w.publisher.Told()
	require.Equal(t, []int{0, 1, 1}, []int{told[0].Attempts, told[1].Attempts, told[2].Attempts})
	require.Empty(t, w.alerts.Raised(), "nothing was parked")
}

func TestADispatcherThatStallsLosesQuietly(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.finish(t, 1, "01012345678")
	w.outbox.beforeSettle = func() {
		w.now = w.now.Add(31 * time.Second)
		require.Equal(t, 1, w.step(t))
	}
	require.Equal(t, 1, w.step(t))
	require.Len(t, w.publisher.Told(), 2, "at least once")
	require.Zero(t, w.step(t))
}

func TestTroubleOfTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.finish(t, 1, "01012345678")
	w.outbox.settle = errBackend
	n, err := w.Step(t.Context())
	require.ErrorIs(t, err, errBackend)
	require.Equal(t, 1, n)
	w.outbox.settle, w.outbox.claim = nil, errBackend
	n, err = w.Step(t.Context())
	require.ErrorIs(t, err, errBackend)
	require.Zero(t, n)
	w.outbox.claim = nil
	w.now = w.now.Add(30 * time.Second)
	require.Equal(t, 1, w.step(t), "claimed again after the lease")
}
