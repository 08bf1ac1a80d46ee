package portstest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/ports"
)

// OutboxFixture is an outbox under test and a way to put results into it.
type OutboxFixture[T any] struct {
	Outbox ports.Outbox[T]
	// Final stores the result numbered n of a line, final at that moment, and returns its id and the body to deliver.
	Final func(t *testing.T, n int, of line.Number, at time.Time) (id.ID, T)
	// LineOf returns the line that a body is about, which is what the events of these outboxes are ordered by.
	LineOf func(T) line.Number
}

// BillOutbox puts completed inquiries into the outbox.
func BillOutbox(
	outbox ports.Outbox[ports.BillResult], bills ports.Bills, inquiries ports.Inquiries,
) OutboxFixture[ports.BillResult] {
	return OutboxFixture[ports.BillResult]{outbox,
		func(t *testing.T, n int, of line.Number, at time.Time) (id.ID, ports.BillResult) {
			t.Helper()
			c := bill.Copy{Version: numbered(1000 + n), Bill: Bill(of), AsOf: at}
			noError(t, bills.Put(t.Context(), c))
			q := inquiry(n, of)
			q.NextAttemptAt = time.Time{}
			q = q.Complete(c, freshness.FromKOS, at)
			noError(t, inquiries.Add(t.Context(), q))
			return q.ID, ports.BillResult{Inquiry: q, Bill: &c.Bill}
		}, func(r ports.BillResult) line.Number { return r.Inquiry.Line }}
}

// ChangeOutbox puts completed orders into the outbox.
func ChangeOutbox(outbox ports.Outbox[ports.ChangeResult], orders ports.Orders) OutboxFixture[ports.ChangeResult] {
	return OutboxFixture[ports.ChangeResult]{outbox,
		func(t *testing.T, n int, of line.Number, at time.Time) (id.ID, ports.ChangeResult) {
			t.Helper()
			o := order(n, of)
			noError(t, orders.Add(t.Context(), o, unkeyed))
			o = done(o, at)
			o, err := orders.Save(t.Context(), o, at)
			noError(t, err)
			return o.ID, ports.ChangeResult{Order: o}
		}, func(r ports.ChangeResult) line.Number { return r.Order.Line }}
}

var (
	accepted     = delivery.Attempt{Outcome: delivery.Accepted, Note: "200"}
	refused      = delivery.Attempt{Outcome: delivery.Failed, Note: "503"}
	notAttempted = delivery.Attempt{Outcome: delivery.NotAttempted}
)

// as settles an item.
func as[T any](i delivery.Item[T], a delivery.Attempt, s delivery.State, next time.Time) delivery.AttemptResult {
	return delivery.AttemptResult{ID: i.ID, Fence: i.Fence, Attempt: a, State: s, Next: next}
}

// delivered settles items that were accepted.
func delivered[T any](items ...delivery.Item[T]) (out []delivery.AttemptResult) {
	for _, i := range items {
		out = append(out, as(i, accepted, delivery.Delivered, time.Time{}))
	}
	return out
}

// sequenceOf returns the ids of a line's events by their sequence numbers.
func sequenceOf[T any](items []delivery.Item[T]) map[int64]id.ID {
	out := map[int64]id.ID{}
	for _, i := range items {
		out[i.Sequence] = i.ID
	}
	return out
}

const outboxLease = 10 * time.Second

// claim claims at most ten lines, two events of each.
func claim[T any](t *testing.T, bag OutboxFixture[T], at time.Time) map[line.Number][]delivery.Item[T] {
	t.Helper()
	batches, err := bag.Outbox.Claim(t.Context(), at, outboxLease, 10, 2)
	require.NoError(t, err)
	of, subjects := map[line.Number][]delivery.Item[T]{}, map[string]bool{}
	for _, b := range batches {
		require.NotEmpty(t, b)
		number := bag.LineOf(b[0].Body)
		require.NotContains(t, of, number, "a line is there once")
		require.NotContains(t, subjects, b[0].Subject, "each line has a subject of its own")
		subjects[b[0].Subject] = true
		for i, item := range b {
			require.Equal(t, number, bag.LineOf(item.Body))
			require.Equal(t, b[0].Subject, item.Subject)
			require.Equal(t, b[0].Sequence+int64(i), item.Sequence, "in order")
		}
		of[number] = b
	}
	return of
}

// Outbox is the suite of ports.Outbox.
func Outbox[T any](t *testing.T, open func(t *testing.T) OutboxFixture[T]) {
	t.Helper()
	t.Run("an event has its result, leased", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		require.Empty(t, claim(t, bag, after(100)))
		event, body := bag.Final(t, 1, Line(1), after(5))
		require.Empty(t, claim(t, bag, after(4)), "not due")
		want := delivery.Item[T]{ID: event, Sequence: 1, CreatedAt: after(5), Fence: 1, Body: body}
		first := claim(t, bag, after(5))[Line(1)]
		require.NotEmpty(t, first)
		want.Subject = first[0].Subject
		require.Equal(t, []delivery.Item[T]{want}, first)
		require.Empty(t, claim(t, bag, after(14)), "leased")
		want.Fence = 2
		require.Equal(t, []delivery.Item[T]{want}, claim(t, bag, after(15))[Line(1)],
			"not settled in time: the same number, a new fence")
	})
	t.Run("a line is leased as a whole, its oldest events first, whatever else comes", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		for _, n := range []int{2, 1, 3} {
			bag.Final(t, n, Line(1), after(10-n)) // the oldest became final last
		}
		bag.Final(t, 4, Line(2), after(1))
		first := claim(t, bag, after(100))
		require.Equal(t, map[int64]id.ID{1: numbered(1), 2: numbered(2)}, sequenceOf(first[Line(1)]))
		require.Equal(t, map[int64]id.ID{1: numbered(4)}, sequenceOf(first[Line(2)]), "each line counts for itself")
		bag.Final(t, 5, Line(1), after(101))
		require.Empty(t, claim(t, bag, after(102)))
		require.NoError(t, bag.Outbox.Settle(t.Context(), after(103), delivered(first[Line(1)]...)...))
		require.Equal(t, map[int64]id.ID{3: numbered(3), 4: numbered(5)}, sequenceOf(claim(t, bag, after(103))[Line(1)]))
	})
	t.Run("what was claimed first stays first, though an older one follows", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		bag.Final(t, 5, Line(1), after(5))
		require.Len(t, claim(t, bag, after(6))[Line(1)], 1)
		bag.Final(t, 1, Line(1), after(7))
		require.Empty(t, claim(t, bag, after(8)))
		require.Equal(t, map[int64]id.ID{1: numbered(5), 2: numbered(1)}, sequenceOf(claim(t, bag, after(16))[Line(1)]))
	})
	t.Run("a failed event holds its line and gives the rest back", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		for n := 1; n <= 3; n++ {
			bag.Final(t, n, Line(1), after(n))
		}
		items := claim(t, bag, after(10))[Line(1)]
		require.NoError(t, bag.Outbox.Settle(t.Context(), after(11),
			as(items[0], refused, delivery.Pending, after(30)), as(items[1], notAttempted, delivery.Pending, after(11))))
		require.Empty(t, claim(t, bag, after(29)), "the line waits with its first event")
		again := claim(t, bag, after(30))[Line(1)]
		require.Equal(t, sequenceOf(items), sequenceOf(again))
		require.Equal(t, []int{1, 0}, []int{again[0].Attempts, again[1].Attempts}, "what was not tried is not counted")
	})
	t.Run("a parked event lets the later ones go on", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		for n := 1; n <= 3; n++ {
			bag.Final(t, n, Line(1), after(n))
		}
		items := claim(t, bag, after(10))[Line(1)]
		require.NoError(t, bag.Outbox.Settle(t.Context(), after(11),
			as(items[0], refused, delivery.Parked, time.Time{}), as(items[1], notAttempted, delivery.Pending, after(11))))
		require.Equal(t, map[int64]id.ID{2: numbered(2), 3: numbered(3)}, sequenceOf(claim(t, bag, after(11))[Line(1)]))
	})
	t.Run("a late worker settles nothing, and disturbs no other", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		bag.Final(t, 1, Line(1), after(1))
		late := claim(t, bag, after(10))[Line(1)][0]
		bag.Final(t, 2, Line(2), after(1))
		current := claim(t, bag, after(20))
		ghost := late
		ghost.ID = numbered(77)
		requireFault(t, fault.StateConflict, bag.Outbox.Settle(t.Context(), after(21),
			delivered(late, current[Line(2)][0], ghost)...))
		requireFault(t, fault.StateConflict, bag.Outbox.Settle(t.Context(), after(21), delivered(current[Line(2)][0])...))
		require.NoError(t, bag.Outbox.Settle(t.Context(), after(21), delivered(current[Line(1)]...)...))
		require.Empty(t, claim(t, bag, after(100)))
	})
	t.Run("a claim takes no more lines than asked for, and claim by claim all of them", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		for n := 1; n <= 5; n++ {
			bag.Final(t, n, Line(n), after(n))
		}
		seen := map[id.ID]bool{}
		for range 3 {
			batches, err := bag.Outbox.Claim(t.Context(), after(20), outboxLease, 2, 100)
			require.NoError(t, err)
			require.LessOrEqual(t, len(batches), 2)
			for _, b := range batches {
				require.Len(t, b, 1)
				seen[b[0].ID] = true
			}
		}
		require.Len(t, seen, 5)
	})
	t.Run("parallel claimers never hold a line twice, and numbers have no gaps", func(t *testing.T) {
		t.Parallel()
		parallelClaims(t, open(t))
	})
	deliveries(t, open)
}

// deliveries is the suite of ports.Deliveries, which every outbox implements.
func deliveries[T any](t *testing.T, open func(t *testing.T) OutboxFixture[T]) {
	t.Helper()
	list := func(t *testing.T, bag OutboxFixture[T], f delivery.Filter) ([]delivery.Listed, int) {
		t.Helper()
		box, ok := bag.Outbox.(ports.Deliveries)
		require.True(t, ok)
		page, total, err := box.List(t.Context(), f)
		require.NoError(t, err)
		return page, total
	}
	t.Run("staff see every event with its last attempts", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		for n := 1; n <= 3; n++ {
			bag.Final(t, n, Line(1), after(n))
		}
		for n := range 7 {
			at := after(100 * (n + 1))
			items := claim(t, bag, at)[Line(1)]
			require.NoError(t, bag.Outbox.Settle(t.Context(), at,
				as(items[0], refused, delivery.Pending, at), as(items[1], notAttempted, delivery.Pending, at)))
		}
		items := claim(t, bag, after(800))[Line(1)]
		require.NoError(t, bag.Outbox.Settle(t.Context(), after(800),
			as(items[0], refused, delivery.Parked, time.Time{}), as(items[1], accepted, delivery.Delivered, time.Time{})))
		page, total := list(t, bag, delivery.Filter{Page: 1, Size: 2})
		require.Equal(t, 3, total)
		require.Len(t, page, 2)
		require.Equal(t, []id.ID{numbered(3), numbered(2)}, []id.ID{page[0].ID, page[1].ID}, "newest first")
		require.Equal(t, delivery.Listed{
			ID: numbered(2), Kind: page[1].Kind, Line: Line(1).String(), State: delivery.Delivered, Sequence: 2, Attempts: 1,
			FinalAt: after(2), DeliveredAt: after(800), Last: []delivery.AttemptRecord{{At: after(800),
				State: delivery.Delivered, Note: "200"}},
		}, page[1])
		require.Equal(t, delivery.Listed{
			ID: numbered(3), Kind: page[0].Kind, Line: Line(1).String(), State: delivery.Pending, FinalAt: after(3),
			NextAt: after(3),
		}, page[0])
		page, total = list(t, bag, delivery.Filter{State: delivery.Parked, Page: 1, Size: 10})
		require.Equal(t, 1, total)
		require.Equal(t, 8, page[0].Attempts)
		require.Len(t, page[0].Last, delivery.MaxAttemptsListed)
		require.Equal(t, delivery.AttemptRecord{At: after(800), State: delivery.Parked, Note: "503"}, page[0].Last[0])
		require.Equal(t, after(400), page[0].Last[4].At)
		page, _ = list(t, bag, delivery.Filter{Page: 2, Size: 2})
		require.Len(t, page, 1)
		born := time.UnixMilli(0x019c_0000_0000) // of the ids of this suite
		_, total = list(t, bag, delivery.Filter{Since: born, Page: 1, Size: 10})
		require.Equal(t, 3, total)
		page, total = list(t, bag, delivery.Filter{Since: born.Add(time.Millisecond), Page: 1, Size: 10})
		require.Empty(t, page)
		require.Zero(t, total)
	})
	t.Run("a settled event can be replayed, under its number", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		box, ok := bag.Outbox.(ports.Deliveries)
		require.True(t, ok)
		for n := 1; n <= 3; n++ {
			bag.Final(t, n, Line(1), after(n))
		}
		items := claim(t, bag, after(10))[Line(1)]
		require.NoError(t, bag.Outbox.Settle(t.Context(), after(10),
			as(items[0], refused, delivery.Parked, time.Time{}), as(items[1], accepted, delivery.Delivered, time.Time{})))
		require.Len(t, claim(t, bag, after(11))[Line(1)], 1, "the third is out")
		requireFault(t, fault.ResourceNotFound, box.Replay(t.Context(), numbered(77), after(12)))
		requireFault(t, fault.StateConflict, box.Replay(t.Context(), numbered(3), after(12)))
		require.NoError(t, box.Replay(t.Context(), numbered(1), after(12)))
		require.NoError(t, box.Replay(t.Context(), numbered(2), after(12)))
		requireFault(t, fault.StateConflict, box.Replay(t.Context(), numbered(2), after(12)))
		require.Empty(t, claim(t, bag, after(20)), "the line is leased")
		again := claim(t, bag, after(21))[Line(1)]
		require.Equal(t, map[int64]id.ID{1: numbered(1), 2: numbered(2)}, sequenceOf(again))
		require.Zero(t, again[0].Attempts)
		require.Equal(t, after(12), again[0].CreatedAt, "the three days begin again")
		require.NoError(t, bag.Outbox.Settle(t.Context(), after(22), delivered(again...)...))
		page, _ := list(t, bag, delivery.Filter{State: delivery.Delivered, Page: 1, Size: 10})
		require.Len(t, page, 2)
		require.Equal(t, after(12), page[1].ReplayedAt)
		require.Len(t, page[1].Last, 2, "what was tried before is remembered")
	})
}

// parallelClaims lets 6 claimers work on 3 lines while results come in with the younger ones first.
func parallelClaims[T any](t *testing.T, bag OutboxFixture[T]) {
	t.Helper()
	const lines, each, claimers = 3, 20, 6
	var mu sync.Mutex
	out := map[string]bool{}
	numbers := map[line.Number][]int64{}
	remaining := lines * each
	var all sync.WaitGroup
	for l := range lines {
		all.Go(func() {
			for n := range each { // pairs in the wrong order: 1 0 3 2 …
				bag.Final(t, 100*l+n^1, Line(l), start)
			}
		})
	}
	step := func() (more bool) {
		batches, err := bag.Outbox.Claim(t.Context(), after(1), time.Hour, 2, 3)
		noError(t, err)
		for _, b := range batches {
			mu.Lock()
			if out[b[0].Subject] {
				t.Errorf("%x is out twice", b[0].Subject)
			}
			out[b[0].Subject] = true
			for _, i := range b {
				of := bag.LineOf(i.Body)
				numbers[of] = append(numbers[of], i.Sequence)
			}
			mu.Unlock()
		}
		for _, b := range batches {
			mu.Lock()
			delete(out, b[0].Subject)
			remaining -= len(b)
			mu.Unlock()
			noError(t, bag.Outbox.Settle(t.Context(), after(1), delivered(b...)...))
		}
		mu.Lock()
		defer mu.Unlock()
		return remaining > 0
	}
	deadline := t.Context().Done()
	for range claimers {
		all.Go(func() {
			for step() && !t.Failed() {
				select {
				case <-deadline:
					return
				default:
				}
			}
		})
	}
	all.Wait()
	for l := range lines {
		got := numbers[Line(l)]
		require.Len(t, got, each)
		for i, n := range got {
			require.EqualValues(t, i+1, n, "in order, without gaps")
		}
	}
}
