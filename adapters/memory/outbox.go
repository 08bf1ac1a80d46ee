package memory

import (
	"cmp"
	"slices"
	"time"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
)

// entry is the delivery half of a row. The stores that own rows embed an outbox of them and lock around it.
type entry struct {
	id       id.ID
	line     line.Number
	state    delivery.State
	sequence int64
	attempts int
	created  time.Time
	next     time.Time
	fence    int64
}

type outbox struct {
	entries map[id.ID]*entry
	last    map[line.Number]int64
}

// due makes the result of a row ready to be told.
func (o *outbox) due(row id.ID, n line.Number, at time.Time) {
	if o.entries == nil {
		o.entries, o.last = map[id.ID]*entry{}, map[line.Number]int64{}
	}
	o.entries[row] = &entry{id: row, line: n, state: delivery.Pending, created: at, next: at}
}

// claim leases the heads of lines that are due.
func (o *outbox) claim(now, lease time.Time, n int) []entry {
	var claimed []entry
	for _, e := range o.heads() {
		if len(claimed) == n || e.next.After(now) {
			continue
		}
		if e.sequence == 0 {
			o.last[e.line]++
			e.sequence = o.last[e.line]
		}
		e.fence++
		e.next = lease
		claimed = append(claimed, *e)
	}
	return claimed
}

// heads answers the first pending entry of each line, the longest due first.
func (o *outbox) heads() []*entry {
	first := map[line.Number]*entry{}
	for _, e := range o.entries {
		if e.state != delivery.Pending {
			continue
		}
		if h, ok := first[e.line]; !ok || before(e, h) {
			first[e.line] = e
		}
	}
	heads := make([]*entry, 0, len(first))
	for _, e := range first {
		heads = append(heads, e)
	}
	slices.SortFunc(heads, func(a, b *entry) int { return a.next.Compare(b.next) })
	return heads
}

// before orders entries of one line: those with a number already given first, then by id, which is by age.
func before(a, b *entry) bool {
	if (a.sequence == 0) != (b.sequence == 0) {
		return a.sequence != 0
	}
	if a.sequence != b.sequence {
		return a.sequence < b.sequence
	}
	return cmp.Compare(a.id.String(), b.id.String()) < 0
}

func (o *outbox) settle(row id.ID, fence int64, s delivery.State, next time.Time) error {
	e, ok := o.entries[row]
	if !ok || e.fence != fence || e.state != delivery.Pending {
		return fault.New(fault.StateConflict)
	}
	e.state, e.next = s, next
	e.attempts++
	return nil
}

func item[T any](e entry, body T) delivery.Item[T] {
	return delivery.Item[T]{
		ID: e.id, Line: e.line, Sequence: e.sequence, Attempts: e.attempts, CreatedAt: e.created, Fence: e.fence, Body: body,
	}
}
