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

// Mailbag is an outbox under test and a way to put results into it.
type Mailbag[T any] struct {
	Outbox ports.Outbox[T]
	// Final stores the result numbered n of a line, final at that moment, and answers its id and the body that is to be told.
	Final func(t *testing.T, n int, of line.Number, at time.Time) (id.ID, T)
}

// BillMail puts completed inquiries into the outbox.
func BillMail(outbox ports.Outbox[ports.BillResult], bills ports.Bills, inquiries ports.Inquiries) Mailbag[ports.BillResult] {
	return Mailbag[ports.BillResult]{outbox, func(t *testing.T, n int, of line.Number, at time.Time) (id.ID, ports.BillResult) {
		t.Helper()
		c := bill.Copy{Version: numbered(1000 + n), Bill: Bill(of), AsOf: at}
		noError(t, bills.Put(t.Context(), c))
		q := inquiry(n, of)
		q.NextAttemptAt = time.Time{}
		q = q.Complete(c, freshness.FromKOS, at)
		noError(t, inquiries.Add(t.Context(), q))
		return q.ID, ports.BillResult{Inquiry: q, Bill: &c.Bill}
	}}
}

// ChangeMail puts completed orders into the outbox.
func ChangeMail(outbox ports.Outbox[ports.ChangeResult], orders ports.Orders) Mailbag[ports.ChangeResult] {
	return Mailbag[ports.ChangeResult]{outbox, func(t *testing.T, n int, of line.Number, at time.Time) (id.ID, ports.ChangeResult) {
		t.Helper()
		o := order(n, of)
		noError(t, orders.Add(t.Context(), o))
		o = done(o, at)
		noError(t, orders.Save(t.Context(), o))
		return o.ID, ports.ChangeResult{Order: o}
	}}
}

var accepted = delivery.Attempt{Outcome: delivery.Accepted, Note: "200"}

// Outbox is the suite of ports.Outbox.
func Outbox[T any](t *testing.T, open func(t *testing.T) Mailbag[T]) {
	t.Helper()
	const lease = 10 * time.Second
	claim := func(t *testing.T, box ports.Outbox[T], at time.Time) []delivery.Item[T] {
		t.Helper()
		items, err := box.Claim(t.Context(), at, lease, 100)
		require.NoError(t, err)
		return items
	}
	t.Run("an item tells its result, leased", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		require.Empty(t, claim(t, bag.Outbox, after(100)))
		event, body := bag.Final(t, 1, Line(1), after(5))
		require.Empty(t, claim(t, bag.Outbox, after(4)), "not due")
		want := delivery.Item[T]{ID: event, Line: Line(1), Sequence: 1, CreatedAt: after(5), Fence: 1, Body: body}
		require.Equal(t, []delivery.Item[T]{want}, claim(t, bag.Outbox, after(5)))
		require.Empty(t, claim(t, bag.Outbox, after(14)), "leased")
		want.Fence = 2
		require.Equal(t, []delivery.Item[T]{want}, claim(t, bag.Outbox, after(15)), "not settled in time: the same number, a new fence")
	})
	t.Run("of one line one item is out, the oldest, whatever its lease", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		for _, n := range []int{2, 1, 3} {
			bag.Final(t, n, Line(1), after(10-n)) // the oldest became final last
		}
		bag.Final(t, 4, Line(2), after(1))
		for n := 1; n <= 3; n++ {
			at := after(100 * n)
			items := claim(t, bag.Outbox, at)
			if n == 1 {
				require.Len(t, items, 2, "one of each line")
				items = onlyLine(items, Line(1))
			}
			items = onlyLine(items, Line(1))
			require.Len(t, items, 1)
			require.Equal(t, numbered(n), items[0].ID)
			require.EqualValues(t, n, items[0].Sequence)
			require.Empty(t, onlyLine(claim(t, bag.Outbox, at), Line(1)))
			require.NoError(t, bag.Outbox.Settle(t.Context(), items[0], accepted, delivery.Delivered, at, at))
		}
		require.Empty(t, onlyLine(claim(t, bag.Outbox, after(1000)), Line(1)))
	})
	t.Run("one that was claimed first stays first, though an older one follows", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		bag.Final(t, 5, Line(1), after(5))
		first := claim(t, bag.Outbox, after(6))
		require.Len(t, first, 1)
		bag.Final(t, 1, Line(1), after(7))
		require.Empty(t, claim(t, bag.Outbox, after(8)))
		again := claim(t, bag.Outbox, after(16))
		require.Len(t, again, 1)
		require.Equal(t, first[0].ID, again[0].ID)
		require.NoError(t, bag.Outbox.Settle(t.Context(), again[0], accepted, delivery.Delivered, after(17), after(17)))
		second := claim(t, bag.Outbox, after(17))
		require.Len(t, second, 1)
		require.Equal(t, numbered(1), second[0].ID)
		require.EqualValues(t, 2, second[0].Sequence)
	})
	t.Run("settle counts attempts, waits, parks, and refuses the late", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		for n := 1; n <= 2; n++ {
			bag.Final(t, n, Line(1), after(n))
		}
		failed := delivery.Attempt{Outcome: delivery.Failed, Note: "503"}
		first := claim(t, bag.Outbox, after(10))[0]
		require.NoError(t, bag.Outbox.Settle(t.Context(), first, failed, delivery.Pending, after(11), after(30)))
		require.Empty(t, claim(t, bag.Outbox, after(29)), "waits, and the line with it")
		second := claim(t, bag.Outbox, after(30))[0]
		require.Equal(t, first.ID, second.ID)
		require.Equal(t, 1, second.Attempts)
		require.EqualValues(t, 1, second.Sequence)
		requireFault(t, fault.StateConflict, bag.Outbox.Settle(t.Context(), first, accepted, delivery.Delivered, after(31), after(31)))
		require.NoError(t, bag.Outbox.Settle(t.Context(), second, failed, delivery.Parked, after(31), after(31)))
		requireFault(t, fault.StateConflict, bag.Outbox.Settle(t.Context(), second, accepted, delivery.Delivered, after(31), after(31)))
		next := claim(t, bag.Outbox, after(32))
		require.Len(t, next, 1, "a parked one lets the line go on")
		require.Equal(t, numbered(2), next[0].ID)
		require.EqualValues(t, 2, next[0].Sequence)
		unknown := next[0]
		unknown.ID = numbered(77)
		requireFault(t, fault.StateConflict, bag.Outbox.Settle(t.Context(), unknown, accepted, delivery.Delivered, after(33), after(33)))
	})
	t.Run("a claim takes no more than asked for, the longest due first", func(t *testing.T) {
		t.Parallel()
		bag := open(t)
		for n := 1; n <= 5; n++ {
			bag.Final(t, n, Line(n), after(10-n))
		}
		items, err := bag.Outbox.Claim(t.Context(), after(20), lease, 2)
		require.NoError(t, err)
		require.ElementsMatch(t, []id.ID{numbered(5), numbered(4)}, ids(items, func(i delivery.Item[T]) id.ID { return i.ID }))
	})
	t.Run("parallel claimers never hold two items of a line, and numbers have no gaps", func(t *testing.T) {
		t.Parallel()
		parallelClaims(t, open(t))
	})
}

func onlyLine[T any](items []delivery.Item[T], of line.Number) []delivery.Item[T] {
	var out []delivery.Item[T]
	for _, i := range items {
		if i.Line == of {
			out = append(out, i)
		}
	}
	return out
}

// parallelClaims lets 6 claimers work on 3 lines while results come in with the younger ones first.
func parallelClaims[T any](t *testing.T, bag Mailbag[T]) {
	t.Helper()
	const lines, each, claimers = 3, 20, 6
	var mu sync.Mutex
	out := map[line.Number]id.ID{}
	told := map[line.Number][]int64{}
	left := lines * each
	var all sync.WaitGroup
	for l := range lines {
		all.Go(func() {
			for n := range each { // pairs in the wrong order: 1 0 3 2 …
				bag.Final(t, 100*l+n^1, Line(l), start)
			}
		})
	}
	step := func() (more bool) {
		items, err := bag.Outbox.Claim(t.Context(), after(1), time.Hour, 2)
		noError(t, err)
		for _, i := range items {
			mu.Lock()
			if other, held := out[i.Line]; held {
				t.Errorf("%s and %s of one line are out at once", other, i.ID)
			}
			out[i.Line] = i.ID
			told[i.Line] = append(told[i.Line], i.Sequence)
			mu.Unlock()
		}
		for _, i := range items {
			mu.Lock()
			delete(out, i.Line)
			left--
			mu.Unlock()
			noError(t, bag.Outbox.Settle(t.Context(), i, accepted, delivery.Delivered, after(1), after(1)))
		}
		mu.Lock()
		defer mu.Unlock()
		return left > 0
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
		numbers := told[Line(l)]
		require.Len(t, numbers, each)
		for i, n := range numbers {
			require.EqualValues(t, i+1, n, "in order, without gaps")
		}
	}
}
