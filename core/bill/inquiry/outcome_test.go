package inquiry_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
)

func away() error { return fault.New(fault.ServiceUnavailable).RetryIn(5 * time.Second) }

// inTheStorysWords demands the failure that UFR-BILL-020 words, with the inquiry that failed and when to come again.
func inTheStorysWords(t *testing.T, err error) (inquiry id.ID) {
	t.Helper()
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	f := fault.From(err)
	require.Equal(t, "요금 조회 신청에 실패하였습니다", f.Message())
	require.Positive(t, f.RetryAfter())
	inquiry, err = id.Parse(f.Details()["requestId"])
	require.NoError(t, err)
	return inquiry
}

func TestADatabaseFailureIsReportedInTheStorysWords(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		first, err := w.once(t, "k", "")
		require.NoError(t, err)
		w.inquiries.add = away()
		_, err = w.Ask(t.Context(), w.me, w.line, "")
		inTheStorysWords(t, err) // a cached bill
		time.Sleep(2 * time.Hour)
		w.inquiries.unqueued = away()
		_, err = w.Ask(t.Context(), w.me, w.line, "")
		inTheStorysWords(t, err) // an old copy
		w.inquiries.add = nil
		_, err = w.Ask(t.Context(), w.me, number(t, "01012345679"), "")
		require.Equal(t, bill.Failed, w.read(t, inTheStorysWords(t, err)).Status)

		w.inquiries.get = away()
		_, err = w.once(t, "k", "")
		require.Equal(t, first.Inquiry.ID, inTheStorysWords(t, err))
		w.inquiries.get, w.bills.version = nil, away()
		_, err = w.once(t, "k", "")
		require.Equal(t, first.Inquiry.ID, inTheStorysWords(t, err))
	})
}

// TestKOSsAnswerSurvivesAShortDatabaseFailure of the store when it is saved: it is added, which may be kept elsewhere.
func TestKOSsAnswerSurvivesAShortDatabaseFailure(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.inquiries.save = away()
		r, err := w.Ask(t.Context(), w.me, w.line, "")
		require.NoError(t, err)
		require.Equal(t, freshness.FromKOS, r.Inquiry.Source)
		require.Equal(t, "5G 프리미엄 플랜", r.Bill.ProductName)
		require.Equal(t, bill.Completed, w.read(t, r.Inquiry.ID).Status)

		w.source.set(0, broken())
		_, err = w.Ask(t.Context(), w.me, number(t, "01012345679"), "")
		require.Equal(t, bill.Failed, w.read(t, inTheStorysWords(t, err)).Status, "the row says what the customer saw")
	})
}

// TestWhatCannotBeRecordedGoesOn: the row stands as it was queued, so that is what the customer gets.
func TestWhatCannotBeRecordedGoesOn(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.inquiries.save, w.inquiries.final = away(), away()
		done := w.ask(t)
		require.Equal(t, bill.Processing, done.Inquiry.Status)
		w.source.set(0, notAsked())
		unasked, err := w.Ask(t.Context(), w.me, w.line, "1999-12")
		require.NoError(t, err)
		w.isStored(t, unasked.Inquiry)
		ctx, hangUp := context.WithCancel(t.Context())
		w.inquiries.beforeSave = hangUp
		w.inquiries.final = context.Canceled
		w.source.set(0)
		_, err = w.Ask(ctx, w.me, w.line, "1999-11")
		require.NoError(t, err, "the client has left, and nothing is wrong")

		w.inquiries.save, w.inquiries.final, w.inquiries.beforeSave = nil, nil, nil
		w.work(t, 2*time.Minute)
		for _, q := range []bill.Inquiry{done.Inquiry, unasked.Inquiry} {
			require.Equal(t, bill.Completed, w.read(t, q.ID).Status)
		}
		require.Equal(t, 4, w.source.calls(), "the bill that was shown was kept")

		w.inquiries.save, w.inquiries.final = away(), errBackend
		_, err = w.Ask(t.Context(), w.me, w.line, "1999-10")
		require.ErrorIs(t, err, errBackend)
	})
}
