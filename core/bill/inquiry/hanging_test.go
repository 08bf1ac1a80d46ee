package inquiry_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness"
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

// TestAStoreThatTakesAllOfTheCustomersTimeLeavesHimHisLastGoodCopy: what cannot be queued is looked up all the same, and recorded.
func TestAStoreThatTakesAllOfTheCustomersTimeLeavesHimHisLastGoodCopy(t *testing.T) {
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
		require.Equal(t, 2850*time.Millisecond, time.Since(began), "nobody waits for a copy when the time is over")
		_, refused, err := w.History(t.Context(), w.me, bill.HistoryFilter{Status: bill.Failed, Page: 1, Size: 10})
		require.NoError(t, err)
		require.Equal(t, 1, refused)
	})
}
