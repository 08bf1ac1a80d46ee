package change_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/change"
	"phonebill/core/request"
	"phonebill/ports"
)

type notifyWorld struct {
	change.Notifications
	orders   memory.Orders
	notifier memory.Notifier
}

func newNotifyWorld() *notifyWorld {
	w := &notifyWorld{}
	w.Notifications = change.Notifications{
		Notices: w.orders.Notices(), Notifier: &w.notifier, Now: time.Now, Random: func() float64 { return 0 },
		Lease: 30 * time.Second, Attempt: 5 * time.Second,
	}
	return w
}

// end stores an order that ends now.
func (w *notifyWorld) end(t *testing.T, n byte, state product.State) {
	t.Helper()
	number, err := line.Parse("0101234567" + string('0'+n))
	require.NoError(t, err)
	o := product.Order{ID: id.ID{15: n}, Line: number, State: product.Requested}
	require.NoError(t, w.orders.Add(t.Context(), o, request.KeyUse{}))
	o.State, o.ProcessedAt = state, time.Now()
	_, err = w.orders.Save(t.Context(), o, o.ProcessedAt)
	require.NoError(t, err)
}

func (w *notifyWorld) step(t *testing.T, want int) {
	t.Helper()
	n, err := w.Step(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, want, n)
}

func TestEveryCustomerIsNotifiedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newNotifyWorld()
		w.step(t, 0)
		for n, state := range []product.State{product.Completed, product.Failed, product.Cancelled} {
			w.end(t, byte(n), state)
		}
		w.step(t, 3)
		require.Len(t, w.notifier.Notified(), 3)
		time.Sleep(24 * time.Hour)
		w.step(t, 0)
	})
}

func TestAFailureIsTriedAgainEverLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, away := newNotifyWorld(), errors.New("away")
		w.end(t, 1, product.Completed)
		w.notifier.Fail(away, away, away)
		began := time.Now()
		for _, wait := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
			n, err := w.Step(t.Context(), 10)
			require.ErrorIs(t, err, away)
			require.Equal(t, 1, n)
			time.Sleep(wait - time.Millisecond)
			w.step(t, 0)
			time.Sleep(time.Millisecond)
		}
		w.step(t, 1)
		require.Len(t, w.notifier.Notified(), 1)
		require.Equal(t, 35*time.Second, time.Since(began))
		w.step(t, 0)
	})
}

// hanging never answers before its time is over.
type hanging struct{}

func (hanging) ChangeEnded(ctx context.Context, _ product.Order) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAHangingNotifierDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newNotifyWorld()
		w.Notifier = hanging{}
		for n := range byte(3) {
			w.end(t, n, product.Completed)
		}
		began := time.Now()
		_, err := w.Step(t.Context(), 10)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(began), "all at once")
	})
}

// TestADyingProcessLosesNoNotification: claimed, and never heard of again.
func TestADyingProcessLosesNoNotification(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newNotifyWorld()
		w.end(t, 1, product.Completed)
		_, err := w.Notices.Claim(t.Context(), time.Now(), w.Lease, 10)
		require.NoError(t, err)
		w.step(t, 0)
		time.Sleep(w.Lease)
		w.step(t, 1)
		require.Len(t, w.notifier.Notified(), 1)
	})
}

func TestASentNotificationIsSettledThoughTheProcessEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newNotifyWorld()
		w.end(t, 1, product.Completed)
		ctx, stop := context.WithCancel(t.Context())
		w.Notifier = stopping{&w.notifier, stop}
		n, err := w.Step(ctx, 10)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		time.Sleep(time.Hour)
		w.step(t, 0)
	})
}

type stopping struct {
	ports.Notifier
	stop func()
}

func (s stopping) ChangeEnded(ctx context.Context, o product.Order) error {
	defer s.stop()
	return s.Notifier.ChangeEnded(ctx, o)
}

// broken cannot read one of its notices, or nothing at all.
type broken struct{ ports.Notices }

func (b broken) Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]product.Notice, error) {
	claimed, err := b.Notices.Claim(ctx, now, lease, n)
	return claimed, errors.Join(err, fault.New(fault.ServiceUnavailable))
}

func TestReadableNotificationsAreSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newNotifyWorld()
		w.end(t, 1, product.Completed)
		w.Notices = broken{w.Notices}
		n, err := w.Step(t.Context(), 10)
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		require.Equal(t, 1, n)
		require.Len(t, w.notifier.Notified(), 1)
	})
}
