package memory

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// entry is the delivery half of a row. The stores that own rows embed an outbox of them and lock around it.
type entry struct {
	id         id.ID
	subject    string // events are in order per subject
	shown      string // the subject as staff see it
	state      delivery.State
	sequence   int64
	attempts   int
	created    time.Time
	next       time.Time
	fence      int64
	final      time.Time
	delivered  time.Time
	replayed   time.Time
	attemptLog []delivery.AttemptRecord
}

type outbox struct {
	entries map[id.ID]*entry
	last    map[string]int64
}

// due makes the result of a row ready for delivery.
func (o *outbox) due(row id.ID, subject, shown string, at time.Time) {
	if o.entries == nil {
		o.entries, o.last = map[id.ID]*entry{}, map[string]int64{}
	}
	o.entries[row] = &entry{id: row, subject: subject, shown: shown, state: delivery.Pending, created: at, final: at,
		next: at}
}

// claim leases subjects that are due, the longest due first, with their first events.
func (o *outbox) claim(now, lease time.Time, subjects, each int) [][]entry {
	var claimed [][]entry
	for _, pending := range o.subjects() {
		if len(claimed) == subjects || pending[0].next.After(now) {
			continue
		}
		var batch []entry
		for _, e := range pending[:min(each, len(pending))] {
			if e.sequence == 0 {
				o.last[e.subject]++
				e.sequence = o.last[e.subject]
			}
			e.fence++
			e.next = lease
			batch = append(batch, *e)
		}
		claimed = append(claimed, batch)
	}
	return claimed
}

// subjects returns the pending entries of each subject in order, the subject that is due longest first.
func (o *outbox) subjects() [][]*entry {
	of := map[string][]*entry{}
	for _, e := range o.entries {
		if e.state == delivery.Pending {
			of[e.subject] = append(of[e.subject], e)
		}
	}
	all := make([][]*entry, 0, len(of))
	for _, pending := range of {
		slices.SortFunc(pending, before)
		all = append(all, pending)
	}
	slices.SortFunc(all, func(a, b []*entry) int { return a[0].next.Compare(b[0].next) })
	return all
}

// before orders entries of one subject: those with a number already given first, then by id, which is by age.
func before(a, b *entry) int {
	if (a.sequence == 0) != (b.sequence == 0) {
		return cmp.Compare(b.sequence, a.sequence) // one of them is 0
	}
	return cmp.Or(cmp.Compare(a.sequence, b.sequence), bytes.Compare(a.id[:], b.id[:]))
}

func (o *outbox) settle(now time.Time, items []delivery.AttemptResult) error {
	var err error
	for _, i := range items {
		e, ok := o.entries[i.ID]
		if !ok || e.fence != i.Fence || e.state != delivery.Pending {
			err = fault.New(fault.StateConflict)
			continue
		}
		e.state, e.next = i.State, i.Next
		if i.State == delivery.Delivered {
			e.delivered = now
		}
		if i.Attempt.Made() {
			e.attempts++
			e.attemptLog = append(e.attemptLog, delivery.AttemptRecord{At: now, State: i.State, Note: i.Attempt.Note})
		}
	}
	return err
}

func items[T any](claimed [][]entry, body func(id.ID) (T, *delivery.Attempt)) [][]delivery.Item[T] {
	var all [][]delivery.Item[T]
	for _, of := range claimed {
		batch := make([]delivery.Item[T], len(of))
		for i, e := range of {
			batch[i] = delivery.Item[T]{
				ID: e.id, Subject: e.subject, Sequence: e.sequence, Attempts: e.attempts, CreatedAt: e.created, Fence: e.fence,
			}
			batch[i].Body, batch[i].Unreadable = body(e.id)
		}
		all = append(all, batch)
	}
	return all
}
