package inquiry_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/quota"
)

// allowing gives each customer so many calls an hour.
func (w *world) allowing(calls int) {
	w.Copies.Allowances = memory.NewAllowances(quota.Allowance{{Calls: calls, Per: time.Hour}}, time.Now)
}

func (w *world) month(back int) string { return calendar.MonthOf(time.Now()).Add(-back).String() }

// TestFailingInquiriesSpendTheAllowance: KOS is asked for a customer no more often than the allowance says, whatever it
// answers, and the customer is refused in words that are true. Others are served as when alone.
func TestFailingInquiriesSpendTheAllowance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.allowing(2)
		failing := w.me.Lines[1] // KOS has no bill for it
		for i := range 6 {
			r, err := w.Ask(t.Context(), w.me, failing, w.month(i))
			want := fault.BillNotFound
			if i >= 2 {
				want = fault.RateLimitExceeded
				require.InDelta(t, time.Hour, fault.From(err).RetryAfter(), float64(5*time.Second))
				require.Zero(t, r)
			}
			require.ErrorIs(t, err, fault.New(want), i)
		}
		require.Equal(t, 2, w.source.calls())
		_, total, err := w.History(t.Context(), w.me, bill.HistoryFilter{Page: 1, Size: 20})
		require.NoError(t, err)
		require.Equal(t, 2, total, "nothing is stored, delivered or tried later of what was refused")

		other := w.me
		other.UserID = "kim"
		r, err := w.Ask(t.Context(), other, w.line, "")
		require.NoError(t, err)
		require.Equal(t, freshness.FromKOS, r.Inquiry.Source)
		r, err = w.Ask(t.Context(), w.me, w.line, "")
		require.NoError(t, err, "what another has paid for is free")
		require.Equal(t, freshness.FromCache, r.Inquiry.Source)
		w.Wait()
	})
}

// TestACopyIsShownWhenTheAllowanceIsSpent, labelled as what it is.
func TestACopyIsShownWhenTheAllowanceIsSpent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.allowing(2)
		require.Equal(t, freshness.FromKOS, w.ask(t).Inquiry.Source)
		<-time.After(61 * time.Minute)
		for i := range 2 {
			_, err := w.Ask(t.Context(), w.me, w.me.Lines[1], w.month(i))
			require.ErrorIs(t, err, fault.New(fault.BillNotFound))
		}
		calls := w.source.calls()
		for range 3 {
			r := w.ask(t)
			require.Equal(t, freshness.FromStale, r.Inquiry.Source)
			require.Equal(t, bill.Completed, r.Inquiry.Status)
		}
		require.Equal(t, calls, w.source.calls())
		w.Wait()
	})
}

// TestTheBackgroundPaysToo: an inquiry that goes on after its customer's time spends the customer's calls, and waits
// for them.
func TestTheBackgroundPaysToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.allowing(1)
		w.source.set(4 * time.Second)
		r := w.ask(t)
		require.Equal(t, bill.Processing, r.Inquiry.Status)
		w.Wait()
		<-time.After(time.Second)
		for range 3 {
			_, err := w.Step(t.Context(), 10)
			require.NoError(t, err)
			<-time.After(time.Minute)
		}
		require.Equal(t, 1, w.source.calls())
		<-time.After(time.Hour)
		_, err := w.Step(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, 2, w.source.calls())
		r, err = w.Get(t.Context(), w.me, r.Inquiry.ID, 0)
		require.NoError(t, err)
		require.Equal(t, bill.Completed, r.Inquiry.Status)
	})
}

// TestASlowLineWithAnOldCopyCostsNoMoreThanTheAllowance: what is asked after the customer was shown the old copy is
// paid for too, also the call for the line's customer.
func TestASlowLineWithAnOldCopyCostsNoMoreThanTheAllowance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ask(t)
		<-time.After(2 * time.Hour)
		w.allowing(3)
		w.source.set(time.Minute)
		before := w.source.calls()
		for range 6 {
			r := w.ask(t)
			require.Equal(t, freshness.FromStale, r.Inquiry.Source)
			w.Wait()
			w.Copies.Wait()
		}
		require.Equal(t, 3, w.source.calls()-before)
	})
}
