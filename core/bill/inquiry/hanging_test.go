package inquiry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/core/request"
)

// hanging is a store that takes no unfinished inquiry and does not say so.
type hanging struct {
	*inquiries
	hangs bool
}

func (h *hanging) Add(ctx context.Context, q bill.Inquiry) error {
	if h.hangs && q.Status == bill.Processing {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return fault.New(fault.ServiceUnavailable).Because(ctx.Err())
	}
	return h.inquiries.Add(ctx, q)
}

// TestAStoreThatTakesTheWholeBudgetLeavesTheLastGoodCopy: it is looked up and recorded all the same.
func TestAStoreThatTakesTheWholeBudgetLeavesTheLastGoodCopy(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		store := &hanging{inquiries: w.inquiries}
		w.Inquiries = store
		w.ask(t)
		store.hangs = true
		time.Sleep(2 * time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 2850*time.Millisecond)
		defer cancel()
		began := time.Now()
		r, err := w.Ask(ctx, w.me, w.line, "")
		require.NoError(t, err)
		require.Equal(t, 2850*time.Millisecond, time.Since(began))
		require.Equal(t, freshness.FromStale, r.Inquiry.Source)
		w.isStored(t, r.Inquiry)

		_, err = w.Ask(ctx, w.me, number(t, "01012345679"), "")
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		require.Equal(t, 2850*time.Millisecond, time.Since(began), "no wait for a copy when the time is over")
		synctest.Wait() // it is recorded afterwards
		_, refused, err := w.History(t.Context(), w.me, bill.HistoryFilter{Status: bill.Failed, Page: 1, Size: 10})
		require.NoError(t, err)
		require.Equal(t, 1, refused)
	})
}

// hung is a bill database that takes statements and never responds: each takes what its caller gives it, and a queued
// row what the spool gives it.
type hung struct{ *inquiries }

func (h hung) Add(ctx context.Context, q bill.Inquiry) error {
	limit := 300 * time.Millisecond
	if q.Status == bill.Processing {
		limit = 1200 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	<-ctx.Done()
	if q.Status.Final() {
		return h.inquiries.Add(context.WithoutCancel(ctx), q)
	}
	return fault.New(fault.ServiceUnavailable).RetryIn(5 * time.Second)
}

type hungBills struct{ *bills }

func (hungBills) Latest(ctx context.Context, _ line.Number, _ calendar.Month) (bill.Copy, error) {
	<-ctx.Done()
	return bill.Copy{}, fault.New(fault.ServiceUnavailable).Because(ctx.Err())
}

// TestAHungDatabaseWithoutACopyFailsInTime: neither the looks for a copy nor what is written down afterwards keep the
// answer back past the time of the service, with a key and without one.
func TestAHungDatabaseWithoutACopyFailsInTime(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"without a key": "", "with a key": "k"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				w.Inquiries, w.Bills = hung{w.inquiries}, hungBills{w.bills}
				var key request.Key
				if text != "" {
					var err error
					key, err = request.ParseKey(text)
					require.NoError(t, err)
				}
				w.keys.takes, w.keys.hangs = time.Hour, true
				began := time.Now()
				_, err := w.AskOnce(t.Context(), w.me, w.line, "", key)
				request := inTheStorysWords(t, err)
				require.Equal(t, w.Limits.Answer, time.Since(began))
				w.Wait()
				require.Equal(t, bill.Failed, w.read(t, request).Status, "the answer is recorded afterwards")
				require.Empty(t, w.reported, "trouble is no news")
			})
		})
	}
}
