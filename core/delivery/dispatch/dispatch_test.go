package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/delivery/dispatch"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/ports"
)

var errBackend = errors.New("backend is in trouble")

type outbox struct {
	*memory.ChangeOutbox
	claim, settle error
	beforeSettle  func()
}

func (o *outbox) Claim(
	ctx context.Context, now time.Time, lease time.Duration, lines, each int,
) ([][]delivery.Item[ports.ChangeResult], error) {
	if o.claim != nil {
		return nil, o.claim
	}
	return o.ChangeOutbox.Claim(ctx, now, lease, lines, each)
}

func (o *outbox) Settle(ctx context.Context, now time.Time, items ...delivery.AttemptResult) error {
	if f := o.beforeSettle; f != nil {
		o.beforeSettle = nil
		f()
	}
	if o.settle != nil {
		return o.settle
	}
	return o.ChangeOutbox.Settle(ctx, now, items...)
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
		Outbox: w.outbox, Publisher: &w.publisher, Now: func() time.Time { return w.now },
		Random: func() float64 { return 0 }, Alerts: &w.alerts, Lease: 30 * time.Second, Attempt: 10 * time.Second, Lines: 10,
		EventsPerLine: 5,
	}
	return w
}

// finish stores a final order of the line.
func (w *world) finish(t *testing.T, n byte, number string) {
	t.Helper()
	l, err := line.Parse(number)
	require.NoError(t, err)
	o := product.Order{ID: id.ID{15: n}, Line: l, State: product.Requested, EffectiveDate: calendar.DateOf(w.now)}
	require.NoError(t, w.orders.Add(t.Context(), o, request.KeyUse{}))
	o.State, o.ProcessedAt = product.Completed, w.now
	_, err = w.orders.Save(t.Context(), o, o.ProcessedAt)
	require.NoError(t, err)
}

func (w *world) step(t *testing.T) int {
	t.Helper()
	n, err := w.Step(t.Context())
	require.NoError(t, err)
	return n
}

func TestResultsAreDeliveredInOrderPerLine(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.finish(t, 1, "01012345678")
	w.finish(t, 2, "01012345678")
	w.finish(t, 3, "01087654321")
	require.Equal(t, 3, w.step(t))
	require.Zero(t, w.step(t))
	var results []delivery.Item[ports.ChangeResult]
	for _, i := range w.publisher.Published() {
		if i.Body.Order.Line.Digits() == "01012345678" {
			results = append(results, i)
		}
	}
	require.Len(t, results, 2)
	require.Equal(t, []id.ID{{15: 1}, {15: 2}}, []id.ID{results[0].ID, results[1].ID})
	require.Equal(t, int64(2), results[1].Sequence)
	require.Equal(t, product.Completed, results[1].Body.Order.State)
}

func TestFailuresAreTriedAgainAndHoldTheLineOnly(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.publisher.Next = []delivery.Attempt{{Outcome: delivery.Failed}, {Outcome: delivery.Failed},
		{Outcome: delivery.Accepted}}
	w.finish(t, 1, "01012345678")
	require.Equal(t, 1, w.step(t))
	w.finish(t, 2, "01012345678")
	require.Zero(t, w.step(t), "the second waits for the first")
	w.now = w.now.Add(time.Second)
	require.Equal(t, 2, w.step(t))
	w.now = w.now.Add(time.Second)
	require.Zero(t, w.step(t), "the wait doubles")
	w.now = w.now.Add(time.Second)
	require.Equal(t, 2, w.step(t))
	results := w.publisher.Published()
	require.Equal(t, []int{0, 1, 2, 0}, []int{results[0].Attempts, results[1].Attempts, results[2].Attempts,
		results[3].Attempts})
	require.Equal(t, results[0].ID, results[2].ID, "one webhook-id in every attempt")
}

func TestARejectedEventIsParkedAndTheLineContinues(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.publisher.Next = []delivery.Attempt{{Outcome: delivery.Rejected, Note: "422"}}
	w.finish(t, 1, "01012345678")
	w.finish(t, 2, "01012345678")
	require.Equal(t, 2, w.step(t))
	w.now = w.now.Add(time.Hour)
	require.Zero(t, w.step(t))
	require.Len(t, w.publisher.Published(), 2)
	require.Equal(t, []operations.Alert{{Kind: operations.DeliveryParked, Subject: id.ID{15: 1}.String(), Note: "422"}},
		w.alerts.Raised())
}

// TestNoLineIsClaimedWhileTheBreakerIsOpen: nothing is claimed while it is, and few results while it is tried.
func TestNoLineIsClaimedWhileTheBreakerIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for n, number := range []string{"01012345678", "01087654321", "01055554444"} {
		w.finish(t, byte(n+1), number)
	}
	none, two := 0, 2
	w.publisher.ReadyFor, w.outbox.claim = &none, errBackend
	require.Zero(t, w.step(t), "the outbox is not even asked")
	w.publisher.ReadyFor, w.outbox.claim = &two, nil
	require.Equal(t, 2, w.step(t))
	w.publisher.ReadyFor = nil
	require.Equal(t, 1, w.step(t))
	require.Len(t, w.publisher.Published(), 3)
}

// TestAnAttemptThatWasNotMadeCostsNothing: the event is given back with as many attempts as before.
func TestAnAttemptThatWasNotMadeCostsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.publisher.Next = []delivery.Attempt{{Outcome: delivery.Failed}, {Outcome: delivery.NotAttempted},
		{Outcome: delivery.Accepted}}
	w.finish(t, 1, "01012345678")
	require.Equal(t, 1, w.step(t))
	w.now = w.now.Add(72 * time.Hour)
	require.Equal(t, 1, w.step(t))
	require.Equal(t, 1, w.step(t), "it was given back")
	results := w.publisher.Published()
	require.Equal(t, []int{0, 1, 1}, []int{results[0].Attempts, results[1].Attempts, results[2].Attempts})
	require.Empty(t, w.alerts.Raised(), "nothing was parked")
}

func TestAStalledDispatcherChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.finish(t, 1, "01012345678")
	w.outbox.beforeSettle = func() {
		w.now = w.now.Add(31 * time.Second)
		require.Equal(t, 1, w.step(t))
	}
	require.Equal(t, 1, w.step(t))
	require.Len(t, w.publisher.Published(), 2, "at least once")
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

// TestAFailureEndsTheBatch: the events after it are given back untried, and delivered after it in order.
func TestAFailureEndsTheBatch(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.publisher.Next = []delivery.Attempt{{}, {Outcome: delivery.Failed, RetryAfter: time.Minute}}
	for n := byte(1); n <= 4; n++ {
		w.finish(t, n, "01012345678")
	}
	require.Equal(t, 4, w.step(t))
	require.Len(t, w.publisher.Published(), 2)
	w.now = w.now.Add(time.Minute - 1)
	require.Zero(t, w.step(t), "the receiver said when")
	w.now = w.now.Add(1)
	require.Equal(t, 3, w.step(t))
	results := w.publisher.Published()
	require.Equal(t, []int64{1, 2, 2, 3, 4}, []int64{results[0].Sequence, results[1].Sequence, results[2].Sequence,
		results[3].Sequence, results[4].Sequence})
}

// slow is a receiver that takes its time.
type slow struct {
	*memory.Publisher[ports.ChangeResult]
	each time.Duration
	now  *time.Time
}

func (s slow) Publish(ctx context.Context, i delivery.Item[ports.ChangeResult]) delivery.Attempt {
	*s.now = s.now.Add(s.each)
	return s.Publisher.Publish(ctx, i)
}

// TestNoAttemptOutlivesTheLease: a slow line is given back in time, so that no other worker delivers it meanwhile.
func TestNoAttemptOutlivesTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.Publisher = slow{&w.publisher, 9 * time.Second, &w.now}
	for n := byte(1); n <= 5; n++ {
		w.finish(t, n, "01012345678")
	}
	require.Equal(t, 5, w.step(t))
	require.Len(t, w.publisher.Published(), 3, "begun at 0, 9 and 18 s of 30")
	require.Equal(t, 2, w.step(t))
	require.Len(t, w.publisher.Published(), 5)
}

// TestShutdownGivesItemsBack: what was delivered is settled, the rest is due at once, and no attempt is counted that we
// broke off.
func TestShutdownGivesItemsBack(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for n := byte(1); n <= 3; n++ {
		w.finish(t, n, "01012345678")
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.Publisher = cancelling{&w.publisher, cancel}
	w.publisher.Next = []delivery.Attempt{{}, {Outcome: delivery.Failed, Note: "given up"}}
	_, err := w.Step(ctx)
	require.NoError(t, err)
	w.Publisher = &w.publisher
	require.Equal(t, 2, w.step(t))
	results := w.publisher.Published()
	require.Equal(t, []int64{1, 2, 2, 3}, []int64{results[0].Sequence, results[1].Sequence, results[2].Sequence,
		results[3].Sequence})
	require.Zero(t, results[2].Attempts)
}

type cancelling struct {
	*memory.Publisher[ports.ChangeResult]
	cancel func()
}

func (l cancelling) Publish(ctx context.Context, i delivery.Item[ports.ChangeResult]) delivery.Attempt {
	if i.Sequence == 2 {
		l.cancel()
	}
	return l.Publisher.Publish(ctx, i)
}
