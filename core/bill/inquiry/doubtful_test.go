package inquiry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/money"
)

// hold stores a copy of the current month's bill that KOS stated just now.
func (w *world) hold(
	t *testing.T, version byte, trust bill.Trust, status bill.PaymentStatus, m calendar.Month,
) bill.Copy {
	t.Helper()
	c := bill.Copy{
		Version: id.ID{0: 9, 15: version}, AsOf: time.Now(), Trust: trust, Holder: "C1",
		Bill: bill.Bill{Line: w.line, Month: m, ProductName: "옛 사본", Total: 15_000, Payment: bill.Payment{Status: status}},
	}
	require.NoError(t, w.bills.Put(t.Context(), c))
	return c
}

// What a release stored that wrote 0 for nothing is asked for anew, settled or not, and only when KOS cannot be asked
// is it shown, labelled.
func TestADoubtfulCopyIsNeitherFreshNorFinal(t *testing.T) {
	t.Parallel()
	for _, back := range []int{0, 1} {
		bubble(t, func(t *testing.T, w *world) {
			m := calendar.MonthOf(time.Now()).Add(-back)
			w.hold(t, 1, bill.Doubtful, bill.Paid, m)
			w.source.set(0, notAsked())
			r, err := w.Ask(t.Context(), w.me, w.line, m.String())
			require.NoError(t, err)
			require.Equal(t, freshness.FromStale, r.Inquiry.Source)
			require.Equal(t, "옛 사본", r.Bill.ProductName)

			time.Sleep(time.Minute)
			r, err = w.Ask(t.Context(), w.me, w.line, m.String())
			require.NoError(t, err)
			require.Equal(t, freshness.FromKOS, r.Inquiry.Source)
			require.Equal(t, money.Won(89_000), r.Bill.Total)
			r, err = w.Ask(t.Context(), w.me, w.line, m.String())
			require.NoError(t, err)
			require.Equal(t, freshness.FromCache, r.Inquiry.Source, "asked for once")
		})
	}
}

// A bill whose total may be made up is not shown any more: not when KOS is away, and not to those who saw it before.
func TestABillThatMayBeMadeUpIsNotShown(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.hold(t, 1, bill.MadeUp, bill.Paid, calendar.MonthOf(time.Now()).Add(-1))
		w.source.set(0, broken())
		_, err := w.Ask(t.Context(), w.me, w.line, calendar.MonthOf(time.Now()).Add(-1).String())
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	})
	bubble(t, func(t *testing.T, w *world) {
		c := w.hold(t, 1, bill.Trusted, bill.Unpaid, calendar.MonthOf(time.Now()))
		first, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.Equal(t, freshness.FromCache, first.Inquiry.Source)

		w.bills.doubt(c.Version, bill.Doubtful) // it turns out that the release before had stored it
		again, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.Equal(t, first.Inquiry.ID, again.Inquiry.ID)
		require.Equal(t, freshness.FromStale, again.Inquiry.Source)
		require.Equal(t, bill.Completed, w.read(t, first.Inquiry.ID).Status)

		w.bills.doubt(c.Version, bill.MadeUp)
		shown, err := w.Get(t.Context(), w.me, first.Inquiry.ID, 0)
		require.NoError(t, err)
		require.Equal(t, bill.Completed, shown.Inquiry.Status)
		require.Nil(t, shown.Bill)
		again, err = w.once(t, "k", "")
		require.NoError(t, err)
		require.NotEqual(t, first.Inquiry.ID, again.Inquiry.ID, "what was answered cannot be repeated: it is asked anew")
		require.Equal(t, freshness.FromKOS, again.Inquiry.Source)
		repeated, err := w.once(t, "k", "")
		require.NoError(t, err)
		require.Equal(t, again.Inquiry.ID, repeated.Inquiry.ID)
	})
}
