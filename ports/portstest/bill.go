package portstest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/ports"
)

// Bills is the suite of ports.Bills, with the epochs it obeys.
func Bills(t *testing.T, open func(t *testing.T) (ports.Bills, ports.Epochs)) {
	t.Helper()
	t.Run("a version comes back as it was put", func(t *testing.T) {
		t.Parallel()
		bills, _ := open(t)
		for _, want := range BillCopies() {
			_, err := bills.Latest(t.Context(), want.Bill.Line, Month())
			requireFault(t, fault.ResourceNotFound, err)
			_, err = bills.Version(t.Context(), want.Bill.Line, Month(), want.Version)
			requireFault(t, fault.ResourceNotFound, err)
			require.NoError(t, bills.Put(t.Context(), want))
			got, err := bills.Latest(t.Context(), want.Bill.Line, Month())
			require.NoError(t, err)
			require.Equal(t, want, got)
			got, err = bills.Version(t.Context(), want.Bill.Line, Month(), want.Version)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
	t.Run("the newest copy is the latest, in whatever order they come, and all are kept", func(t *testing.T) {
		t.Parallel()
		bills, _ := open(t)
		copies := make([]bill.Copy, 4)
		for n := range copies {
			copies[n] = bill.Copy{Version: numbered(n + 1), Bill: Bill(Line(1)), AsOf: after(n)}
		}
		for _, n := range []int{1, 3, 0, 2} {
			require.NoError(t, bills.Put(t.Context(), copies[n]))
			_, err := bills.Latest(t.Context(), Line(1), Month()) // a copy may be cached now
			require.NoError(t, err)
		}
		got, err := bills.Latest(t.Context(), Line(1), Month())
		require.NoError(t, err)
		require.Equal(t, copies[3], got)
		got, err = bills.LatestCommitted(t.Context(), Line(1), Month())
		require.NoError(t, err)
		require.Equal(t, copies[3], got)
		for _, want := range copies {
			got, err := bills.Version(t.Context(), Line(1), Month(), want.Version)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
	t.Run("lines and months do not mix", func(t *testing.T) {
		t.Parallel()
		bills, _ := open(t)
		require.NoError(t, bills.Put(t.Context(), bill.Copy{Version: numbered(1), Bill: Bill(Line(1)), AsOf: start}))
		for _, other := range []struct {
			n line.Number
			m calendar.Month
		}{{Line(2), Month()}, {Line(1), Month().Add(-1)}} {
			_, err := bills.Latest(t.Context(), other.n, other.m)
			requireFault(t, fault.ResourceNotFound, err)
			_, err = bills.Version(t.Context(), other.n, other.m, numbered(1))
			requireFault(t, fault.ResourceNotFound, err)
		}
	})
	t.Run("nothing from before the line's epoch is the latest, but its version stays", func(t *testing.T) {
		t.Parallel()
		bills, epochs := open(t)
		for n := 1; n <= 2; n++ {
			require.NoError(t, bills.Put(t.Context(), bill.Copy{Version: numbered(n), Bill: Bill(Line(n)), AsOf: after(1)}))
			_, err := bills.Latest(t.Context(), Line(n), Month())
			require.NoError(t, err)
		}
		require.NoError(t, epochs.Raise(t.Context(), Line(1), after(1)))
		_, err := bills.Latest(t.Context(), Line(1), Month())
		require.NoError(t, err, "stated at the epoch, not before")
		require.NoError(t, epochs.Raise(t.Context(), Line(1), after(2)))
		_, err = bills.Latest(t.Context(), Line(1), Month())
		requireFault(t, fault.ResourceNotFound, err)
		_, err = bills.LatestCommitted(t.Context(), Line(1), Month())
		requireFault(t, fault.ResourceNotFound, err)
		_, err = bills.Version(t.Context(), Line(1), Month(), numbered(1))
		require.NoError(t, err)
		_, err = bills.Latest(t.Context(), Line(2), Month())
		require.NoError(t, err, "another line's epoch")
	})
	t.Run("no epoch hides a bill that is final", func(t *testing.T) {
		t.Parallel()
		bills, epochs := open(t)
		want := bill.Copy{Version: numbered(1), Bill: Bill(Line(1)), AsOf: after(1)}
		want.Bill.Month = calendar.MonthOf(after(1)).Add(-1)
		want.Bill.Payment.Status = bill.Paid
		require.True(t, want.Final())
		require.NoError(t, bills.Put(t.Context(), want))
		for _, epoch := range []int{0, 2, 3} {
			require.NoError(t, epochs.Raise(t.Context(), Line(1), after(epoch)))
			for range 2 { // from the store, then from a cache
				got, err := bills.Latest(t.Context(), Line(1), want.Bill.Month)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
	})
}

// inquiry returns the n-th inquiry, processing, leased until after(60+n).
func inquiry(n int, of line.Number) bill.Inquiry {
	return bill.Inquiry{
		ID: numbered(n), UserID: Owner().UserID, CustomerID: "C-0001", Line: of, Month: Month(), Status: bill.Processing,
		RequestedAt: after(n), NextAttemptAt: after(60 + n), TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
}

// completed returns the n-th inquiry, completed with a bill.
func completed(n int, of line.Number) bill.Inquiry {
	q := inquiry(n, of)
	q.NextAttemptAt = time.Time{}
	return q.Complete(bill.Copy{Version: numbered(1000 + n), Bill: Bill(of), AsOf: after(n)}, freshness.FromCache,
		after(n))
}

// Inquiries is the suite of ports.Inquiries.
func Inquiries(t *testing.T, open func(t *testing.T) ports.Inquiries) {
	t.Helper()
	t.Run("an inquiry comes back as it was added", func(t *testing.T) {
		t.Parallel()
		inquiries := open(t)
		failed := inquiry(3, Line(1)).Fail(fault.BillNotFound, after(4))
		failed.NextAttemptAt = time.Time{}
		for _, want := range []bill.Inquiry{inquiry(1, Line(1)), completed(2, Line(2)), failed} {
			_, err := inquiries.Get(t.Context(), want.ID)
			requireFault(t, fault.ResourceNotFound, err)
			require.NoError(t, inquiries.Add(t.Context(), want))
			got, err := inquiries.Get(t.Context(), want.ID)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
	t.Run("an inquiry that is there already changes nothing", func(t *testing.T) {
		t.Parallel()
		inquiries, q := open(t), inquiry(1, Line(1))
		require.NoError(t, inquiries.Add(t.Context(), q))
		final := q.Fail(fault.BillNotFound, after(4))
		require.NoError(t, inquiries.Save(t.Context(), final))
		require.NoError(t, inquiries.Add(t.Context(), q))
		got, err := inquiries.Get(t.Context(), q.ID)
		require.NoError(t, err)
		require.Equal(t, final, got)
		q.Line = Line(2)
		requireFault(t, fault.StateConflict, inquiries.Add(t.Context(), q))
	})
	t.Run("a final inquiry that is added replaces an unfinished row", func(t *testing.T) {
		t.Parallel()
		inquiries, q := open(t), inquiry(1, Line(1))
		require.NoError(t, inquiries.Add(t.Context(), q))
		claimed, err := inquiries.Claim(t.Context(), after(61), 10*time.Second, 10)
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		received := q.Complete(bill.Copy{Version: numbered(9), Bill: Bill(Line(1)), AsOf: after(3)}, freshness.FromStale,
			after(4))
		other := received
		other.Line = Line(2)
		requireFault(t, fault.StateConflict, inquiries.Add(t.Context(), other))
		require.NoError(t, inquiries.Add(t.Context(), received))
		requireFault(t, fault.StateConflict, inquiries.Save(t.Context(),
			claimed[0].Fail(fault.ServiceUnavailable, after(62))))
		want := received
		want.Fence = 2
		for range 2 { // a replay changes nothing
			got, err := inquiries.Get(t.Context(), q.ID)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.NoError(t, inquiries.Add(t.Context(), received))
			require.NoError(t, inquiries.Add(t.Context(), q))
		}
		remaining, err := inquiries.Claim(t.Context(), after(1000), time.Second, 10)
		require.NoError(t, err)
		require.Empty(t, remaining)
	})
	t.Run("a final inquiry that is added was shown first, whatever a worker has stored since", func(t *testing.T) {
		t.Parallel()
		inquiries, q := open(t), inquiry(1, Line(1))
		require.NoError(t, inquiries.Add(t.Context(), q))
		worked := q.Complete(bill.Copy{Version: numbered(8), Bill: Bill(Line(1)), AsOf: after(70)}, freshness.FromKOS,
			after(70))
		require.NoError(t, inquiries.Save(t.Context(), worked))
		received := q.Complete(bill.Copy{Version: numbered(9), Bill: Bill(Line(1)), AsOf: after(3)}, freshness.FromStale,
			after(4))
		require.NoError(t, inquiries.Add(t.Context(), received))
		received.Fence = 1
		got, err := inquiries.Get(t.Context(), q.ID)
		require.NoError(t, err)
		require.Equal(t, received, got)
	})
	t.Run("save stores progress until the inquiry is final", func(t *testing.T) {
		t.Parallel()
		inquiries, q := open(t), inquiry(1, Line(1))
		requireFault(t, fault.StateConflict, inquiries.Save(t.Context(), q))
		require.NoError(t, inquiries.Add(t.Context(), q))
		q = q.After(bill.NoAnswer, fault.ServiceUnavailable, false, 0, after(2))
		require.NoError(t, inquiries.Save(t.Context(), q))
		got, err := inquiries.Get(t.Context(), q.ID)
		require.NoError(t, err)
		require.Equal(t, q, got)
		q = q.Complete(bill.Copy{Version: numbered(9), Bill: Bill(Line(1)), AsOf: after(3)}, freshness.FromKOS, after(4))
		require.NoError(t, inquiries.Save(t.Context(), q))
		requireFault(t, fault.StateConflict, inquiries.Save(t.Context(), q.Fail(fault.ServiceUnavailable, after(5))))
		got, err = inquiries.Get(t.Context(), q.ID)
		require.NoError(t, err)
		require.Equal(t, q, got)
	})
	t.Run("claim hands out what is due, once per lease, and a late worker changes nothing", func(t *testing.T) {
		t.Parallel()
		inquiries := open(t)
		require.NoError(t, inquiries.Add(t.Context(), inquiry(1, Line(1))))
		require.NoError(t, inquiries.Add(t.Context(), completed(2, Line(1))))
		claim := func(at time.Time) []bill.Inquiry {
			rows, err := inquiries.Claim(t.Context(), at, 10*time.Second, 10)
			require.NoError(t, err)
			return rows
		}
		require.Empty(t, claim(after(60)), "leased to its creator")
		first := claim(after(61))
		require.Len(t, first, 1)
		want := inquiry(1, Line(1))
		want.Fence, want.NextAttemptAt, want.Attempts = 1, after(71), 1
		require.Equal(t, want, first[0])
		require.Empty(t, claim(after(70)), "leased")
		requireFault(t, fault.StateConflict, inquiries.Save(t.Context(),
			inquiry(1, Line(1)).Fail(fault.ServiceUnavailable, after(62))))
		second := claim(after(71))
		require.Len(t, second, 1)
		require.EqualValues(t, 2, second[0].Fence)
		require.Equal(t, 2, second[0].Attempts, "the first worker may have asked and died")
		requireFault(t, fault.StateConflict, inquiries.Save(t.Context(), first[0].Fail(fault.ServiceUnavailable, after(72))))
		require.NoError(t, inquiries.Save(t.Context(), second[0].Fail(fault.ServiceUnavailable, after(72))))
		require.Empty(t, claim(after(1000)), "final")
	})
	t.Run("parallel claimers share the work, the longest due first", func(t *testing.T) {
		t.Parallel()
		inquiries := open(t)
		for n := range 40 {
			require.NoError(t, inquiries.Add(t.Context(), inquiry(n, Line(1))))
		}
		oldest, err := inquiries.Claim(t.Context(), after(200), time.Hour, 3)
		require.NoError(t, err)
		require.ElementsMatch(t, []id.ID{numbered(0), numbered(1), numbered(2)}, ids(oldest, inquiryID))
		seen := claimAll(t, 37, func() ([]bill.Inquiry, error) {
			return inquiries.Claim(t.Context(), after(200), time.Hour,
				5)
		}, inquiryID)
		require.Len(t, seen, 37)
		for _, times := range seen {
			require.Equal(t, 1, times)
		}
	})
	t.Run("history pages the user's own lines, newest first", func(t *testing.T) {
		t.Parallel()
		inquiryHistory(t,
			open(t))
	})
}

func inquiryID(q bill.Inquiry) id.ID { return q.ID }

func ids[T any](all []T, of func(T) id.ID) []id.ID {
	out := make([]id.ID, len(all))
	for i, v := range all {
		out[i] = of(v)
	}
	return out
}

// claimAll lets 8 claimers claim until want items are out and counts how often each was handed out.
func claimAll[T any](t *testing.T, want int, claim func() ([]T, error), of func(T) id.ID) map[id.ID]int {
	t.Helper()
	var mu sync.Mutex
	seen := map[id.ID]int{}
	require.Eventually(t, func() bool {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				items, err := claim()
				noError(t, err)
				mu.Lock()
				defer mu.Unlock()
				for _, item := range items {
					seen[of(item)]++
				}
			})
		}
		all.Wait()
		return len(seen) >= want
	}, 30*time.Second, time.Millisecond)
	return seen
}

func inquiryHistory(t *testing.T, inquiries ports.Inquiries) {
	t.Helper()
	stranger := completed(90, Line(1))
	stranger.UserID = "stranger"
	late, early := completed(91, Line(1)), completed(92, Line(1)) // the first and last moment of 2 March in Seoul
	late.RequestedAt = time.Date(2026, 3, 2, 14, 59, 59, 999999000, time.UTC)
	early.RequestedAt = time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC)
	next, before := completed(93, Line(1)), completed(94, Line(1))
	next.RequestedAt, before.RequestedAt = late.RequestedAt.Add(time.Microsecond), early.RequestedAt.Add(-time.Microsecond)
	failed := inquiry(5, Line(1)).Fail(fault.BillNotFound, after(6))
	silent := inquiry(10, Line(2)).Fail(fault.ServiceUnavailable, after(10)) // it is FAILED for a filter on that
	silent.Status = bill.Timeout
	twin := completed(7, Line(1)) // asked at the same moment as the one before: the later id is shown first
	twin.RequestedAt = after(6)
	for _, q := range []bill.Inquiry{
		inquiry(4, Line(1)), failed, completed(6, Line(1)), twin, completed(8, Line(2)), completed(9, Line(3)), stranger,
		late, early, next, before, silent,
	} {
		require.NoError(t, inquiries.Add(t.Context(), q))
	}
	day := calendar.DateOf(start)
	all := bill.HistoryFilter{UserID: Owner().UserID, Lines: []line.Number{Line(1), Line(2)}, Page: 1, Size: 100}
	with := func(change func(*bill.HistoryFilter)) bill.HistoryFilter { f := all; change(&f); return f }
	for name, c := range map[string]struct {
		filter bill.HistoryFilter
		want   []int
		total  int
	}{
		"all":         {all, []int{93, 91, 10, 8, 7, 6, 5, 4, 92, 94}, 10},
		"one line":    {with(func(f *bill.HistoryFilter) { f.Lines = f.Lines[1:] }), []int{10, 8}, 2},
		"no line":     {with(func(f *bill.HistoryFilter) { f.Lines = nil }), nil, 0},
		"other user":  {with(func(f *bill.HistoryFilter) { f.UserID = auth.UserID("stranger") }), []int{90}, 1},
		"one day":     {with(func(f *bill.HistoryFilter) { f.From, f.To = day, day }), []int{91, 10, 8, 7, 6, 5, 4, 92}, 8},
		"from":        {with(func(f *bill.HistoryFilter) { f.From = day }), []int{93, 91, 10, 8, 7, 6, 5, 4, 92}, 9},
		"to":          {with(func(f *bill.HistoryFilter) { f.To = day }), []int{91, 10, 8, 7, 6, 5, 4, 92, 94}, 9},
		"failed":      {with(func(f *bill.HistoryFilter) { f.Status = bill.Failed }), []int{10, 5}, 2},
		"processing":  {with(func(f *bill.HistoryFilter) { f.Status = bill.Processing }), []int{4}, 1},
		"second page": {with(func(f *bill.HistoryFilter) { f.Page, f.Size = 2, 4 }), []int{7, 6, 5, 4}, 10},
		"last page":   {with(func(f *bill.HistoryFilter) { f.Page, f.Size = 3, 4 }), []int{92, 94}, 10},
		"beyond":      {with(func(f *bill.HistoryFilter) { f.Page, f.Size = 4, 4 }), nil, 10},
	} {
		page, total, err := inquiries.History(t.Context(), c.filter)
		require.NoError(t, err, name)
		require.Equal(t, c.total, total, name)
		want := make([]id.ID, len(c.want))
		for i, n := range c.want {
			want[i] = numbered(n)
		}
		require.Equal(t, want, ids(page, inquiryID), name)
	}
	page, _, err := inquiries.History(t.Context(), with(func(f *bill.HistoryFilter) { f.Lines = f.Lines[1:] }))
	require.NoError(t, err)
	require.Equal(t, []bill.Inquiry{silent, completed(8, Line(2))}, page)
}
