package portstest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Reconciliation is a source with the orders and deliveries that it reads.
type Reconciliation struct {
	Source ports.ReconciliationSource
	Orders ports.Orders
	Outbox interface {
		ports.Outbox[ports.ChangeResult]
		ports.Deliveries
	}
}

// ended stores the n-th order, on a line, and ends it after so many seconds.
func (b Reconciliation) ended(t *testing.T, n, of, seconds int, state product.State) product.Order {
	t.Helper()
	o := order(n, Line(of))
	require.NoError(t, b.Orders.Add(t.Context(), o, unkeyed))
	o.State, o.ProcessedAt = state, after(seconds)
	return saved(t, b.Orders, o)
}

// deliver delivers everything that is due, so many seconds after the start.
func (b Reconciliation) deliver(t *testing.T, seconds int) {
	t.Helper()
	lines, err := b.Outbox.Claim(t.Context(), after(seconds), time.Minute, 10, 10)
	require.NoError(t, err)
	for _, items := range lines {
		for _, i := range items {
			require.NoError(t, b.Outbox.Settle(t.Context(), after(seconds),
				delivery.AttemptResult{ID: i.ID, Fence: i.Fence, State: delivery.Delivered}))
		}
	}
}

func (b Reconciliation) final(
	t *testing.T, from, to int, after product.ReconciliationPlace, n int,
) []product.ReconciliationEntry {
	t.Helper()
	all, err := b.Source.Final(t.Context(), start.Add(time.Duration(from)*time.Second),
		start.Add(time.Duration(to)*time.Second), after, n)
	require.NoError(t, err)
	return all
}

func entryID(e product.ReconciliationEntry) id.ID { return e.Order.ID }

// ReconciliationSource is the suite of ports.ReconciliationSource.
func ReconciliationSource(t *testing.T, open func(t *testing.T) Reconciliation) {
	t.Helper()
	t.Run("orders come as they became final, page by page", func(t *testing.T) {
		t.Parallel()
		reconciliationPages(t,
			open(t))
	})
	t.Run("an entry has its delivery and its line", func(t *testing.T) { t.Parallel(); reconciliationEntries(t, open(t)) })
	t.Run("open orders", func(t *testing.T) { t.Parallel(); reconciliationOpen(t, open(t)) })
}

func reconciliationPages(t *testing.T, b Reconciliation) {
	t.Helper()
	require.Empty(t, b.final(t, 0, 1000, product.ReconciliationPlace{}, 10))
	b.ended(t, 3, 3, 100, product.Completed)
	b.ended(t, 1, 1, 200, product.Failed)
	b.ended(t, 2, 2, 200, product.Cancelled)
	b.ended(t, 4, 4, 300, product.Completed)
	b.ended(t, 5, 5, 99, product.Completed)
	require.NoError(t, b.Orders.Add(t.Context(), order(6, Line(6)), unkeyed))
	page := b.final(t, 100, 300, product.ReconciliationPlace{}, 2)
	require.Equal(t, []id.ID{numbered(3), numbered(1)}, ids(page, entryID))
	page = b.final(t, 100, 300, product.ReconciliationPlace{At: after(200), ID: numbered(1)}, 2)
	require.Equal(t, []id.ID{numbered(2)}, ids(page, entryID), "to is not in it")
	require.Empty(t, b.final(t, 100, 300, product.ReconciliationPlace{At: after(200), ID: numbered(2)}, 2))
	require.Len(t, b.final(t, 0, 1000, product.ReconciliationPlace{At: start}, 9), 5)
}

func reconciliationEntries(t *testing.T, b Reconciliation) {
	t.Helper()
	_, err := b.Source.Entry(t.Context(), numbered(1))
	requireFault(t, fault.ResourceNotFound, err)
	entry := func(n int) product.ReconciliationEntry {
		e, err := b.Source.Entry(t.Context(), numbered(n))
		require.NoError(t, err)
		return e
	}
	first := b.ended(t, 1, 1, 100, product.Completed)
	require.Equal(t, product.ReconciliationEntry{Order: first, Delivery: product.DeliveryStatus{State: delivery.Pending}},
		entry(1))
	b.deliver(t, 101)
	received := product.DeliveryStatus{State: delivery.Delivered, Sequence: 1, Accepted: 1, AcceptedAt: after(101)}
	require.Equal(t, product.ReconciliationEntry{Order: first, Delivery: received}, entry(1))

	b.ended(t, 9, 2, 500, product.Completed) // another line
	failed := b.ended(t, 2, 1, 200, product.Failed)
	require.Equal(t, product.ReconciliationEntry{Order: first, Delivery: received}, entry(1),
		"what failed replaces nothing")
	b.deliver(t, 501)
	received.Accepted = 0
	require.Equal(t, product.ReconciliationEntry{
		Order: failed, Delivery: product.DeliveryStatus{State: delivery.Delivered, Sequence: 2, Accepted: 1,
			AcceptedAt: after(501)}, Previous: received,
	}, entry(2))
	require.NoError(t, b.Orders.Add(t.Context(), order(3, Line(1)), unkeyed))
	require.True(t, entry(1).HasLiveOrder)
	require.False(t, entry(9).HasLiveOrder)
	live, err := b.Orders.Live(t.Context(), Line(1))
	require.NoError(t, err)
	live.State, live.ProcessedAt = product.Completed, after(600)
	saved(t, b.Orders, live)
	require.True(t, entry(1).Superseded)
	require.True(t, entry(2).Superseded)
	require.False(t, entry(3).Superseded)
	require.False(t, entry(1).HasLiveOrder)
	require.False(t, entry(9).Superseded)
	require.NoError(t, b.Outbox.Replay(t.Context(), numbered(1), after(700)))
	require.Equal(t, product.DeliveryStatus{State: delivery.Pending, Sequence: 1, ReplayedAt: after(700)},
		entry(2).Previous)
	require.Equal(t, 1, entry(1).Delivery.Accepted)
	for _, n := range []int{1, 2, 3, 9} {
		require.False(t, entry(n).DuplicateSequence)
	}
	page := b.final(t, 0, 1000, product.ReconciliationPlace{}, 10)
	require.Len(t, page, 4)
	require.Equal(t, entry(2), page[1], "a page has the same")
}

func reconciliationOpen(t *testing.T, b Reconciliation) {
	t.Helper()
	for n := 1; n <= 4; n++ {
		require.NoError(t, b.Orders.Add(t.Context(), order(n, Line(n)), unkeyed))
	}
	parked := order(2, Line(2))
	parked.State = product.Parked
	parked = saved(t, b.Orders, parked)
	b.ended(t, 5, 5, 6, product.Completed)
	page, err := b.Source.Open(t.Context(), after(4), id.ID{}, 2)
	require.NoError(t, err)
	require.Equal(t, []product.Order{order(1, Line(1)), parked}, page)
	page, err = b.Source.Open(t.Context(), after(4), numbered(2), 2)
	require.NoError(t, err)
	require.Equal(t, []id.ID{numbered(3)}, ids(page, orderID), "the fourth is too young")
}

// Running is a store of runs with the orders that they are about.
type Running struct {
	Runs   ports.ReconciliationRuns
	Orders ports.Orders
}

func run(n, seconds int) product.ReconciliationRun {
	return product.ReconciliationRun{ID: numbered(n), From: after(-3600), To: start, StartedAt: after(seconds)}
}

// ReconciliationRuns is the suite of ports.ReconciliationRuns.
func ReconciliationRuns(t *testing.T, open func(t *testing.T) Running) {
	t.Helper()
	t.Run("one run at a time", func(t *testing.T) { t.Parallel(); runsOneAtATime(t, open(t).Runs) })
	t.Run("a lease and its fence", func(t *testing.T) { t.Parallel(); runsLease(t, open(t).Runs) })
	t.Run("what a run has found", func(t *testing.T) { t.Parallel(); runsReport(t, open(t)) })
}

func runsOneAtATime(t *testing.T, runs ports.ReconciliationRuns) {
	t.Helper()
	_, err := runs.Claim(t.Context(), start, time.Minute)
	requireFault(t, fault.ResourceNotFound, err)
	var begun, refused atomic.Int64
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			nightly := run(n+1, 0)
			nightly.Nightly = true
			if err := runs.Begin(t.Context(), nightly); err == nil {
				begun.Add(1)
			} else {
				requireFault(t, fault.StateConflict, err)
				refused.Add(1)
			}
		})
	}
	all.Wait()
	require.Equal(t, [2]int64{1, 7}, [2]int64{begun.Load(), refused.Load()})
	for seconds, want := range map[int]bool{-1: true, 0: true, 1: false} {
		got, err := runs.Nightly(t.Context(), after(seconds))
		require.NoError(t, err)
		require.Equal(t, want, got, seconds)
	}
	r, err := runs.Claim(t.Context(), start, time.Minute)
	require.NoError(t, err)
	r.Finished = after(10)
	require.NoError(t, runs.Save(t.Context(), r, after(100)))
	requireFault(t, fault.StateConflict, runs.Save(t.Context(), r, after(100)))
	require.NoError(t, runs.Begin(t.Context(), run(20, 2)))
	later, err := runs.Nightly(t.Context(), after(1))
	require.NoError(t, err)
	require.False(t, later, "a person began it")
}

func runsLease(t *testing.T, runs ports.ReconciliationRuns) {
	t.Helper()
	require.NoError(t, runs.Begin(t.Context(), run(1, 0)))
	first, err := runs.Claim(t.Context(), after(1), time.Minute)
	require.NoError(t, err)
	want := run(1, 0)
	want.Fence = 1
	require.Equal(t, want, first)
	_, err = runs.Claim(t.Context(), after(60), time.Minute)
	requireFault(t, fault.ResourceNotFound, err)
	first.Reached, first.Checked, first.Asked = product.ReconciliationPlace{At: after(-10), ID: numbered(7)}, 5, 4
	first.Undecided, first.Unasked = 3, 2
	require.NoError(t, runs.Save(t.Context(), first, after(90)))
	_, err = runs.Claim(t.Context(), after(89), time.Minute)
	requireFault(t, fault.ResourceNotFound, err)
	second, err := runs.Claim(t.Context(), after(90), time.Minute)
	require.NoError(t, err)
	requireFault(t, fault.StateConflict, runs.Save(t.Context(), first, after(200)))
	first.Fence = 2
	require.Equal(t, first, second, "it is carried on from where it was")
	second.Finished = after(91)
	require.NoError(t, runs.Save(t.Context(), second, after(200)))
	_, err = runs.Claim(t.Context(), after(1000), time.Minute)
	requireFault(t, fault.ResourceNotFound, err)
}

func runsReport(t *testing.T, r Running) {
	t.Helper()
	runs := r.Runs
	_, err := runs.Report(t.Context(), id.ID{})
	requireFault(t, fault.ResourceNotFound, err)
	require.NoError(t, r.Orders.Add(t.Context(), order(5, Line(5)), unkeyed))
	require.NoError(t, runs.Begin(t.Context(), run(1, 0)))
	claimed, err := runs.Claim(t.Context(), start, time.Minute)
	require.NoError(t, err)
	difference := func(kind product.DifferenceKind) product.Difference {
		return product.Difference{RequestID: numbered(5), Line: Line(5).String(), Kind: kind, Found: after(3),
			Text: "they differ"}
	}
	var all []product.Difference
	for _, kind := range product.DifferenceKinds() {
		all = append(all, difference(kind))
	}
	require.NoError(t, runs.Save(t.Context(), claimed, after(60), all[:4]...))
	again := all[3]
	again.Text = "said again"
	claimed.Finished = after(9)
	stale := claimed
	stale.Fence--
	requireFault(t, fault.StateConflict, runs.Save(t.Context(), stale, after(60), all...))
	require.NoError(t, runs.Save(t.Context(), claimed, after(60), append(all[4:], again)...))
	report, err := runs.Report(t.Context(), id.ID{})
	require.NoError(t, err)
	claimed.Found = 6
	require.Equal(t, claimed, report.Run)
	require.ElementsMatch(t, all, report.Differences)

	require.NoError(t, runs.Begin(t.Context(), run(2, 10)))
	report, err = runs.Report(t.Context(), id.ID{})
	require.NoError(t, err)
	require.Equal(t, product.ReconciliationReport{Run: run(2, 10)}, report, "the one that began last")
	report, err = runs.Report(t.Context(), numbered(1))
	require.NoError(t, err)
	require.Len(t, report.Differences, 6)
	_, err = runs.Report(t.Context(), numbered(3))
	requireFault(t, fault.ResourceNotFound, err)
}
