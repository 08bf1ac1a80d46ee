package memory

import (
	"bytes"
	"context"
	"slices"
	"time"

	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// list returns one page of the events of a kind.
func (o *outbox) list(kind delivery.Kind, f delivery.Filter) (events []delivery.Listed, total int) {
	since := id.At(f.Since)
	for _, e := range o.entries {
		if (f.State == "" || f.State == e.state) && bytes.Compare(e.id[:], since[:]) >= 0 {
			events = append(events, e.listed(kind))
		}
	}
	slices.SortFunc(events, func(a, b delivery.Listed) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	return page(events, f.Page, f.Size), min(len(events), delivery.MaxCounted)
}

func (e *entry) listed(kind delivery.Kind) delivery.Listed {
	t := delivery.Listed{
		ID: e.id, Kind: kind, Line: e.shown, State: e.state, Sequence: e.sequence, Attempts: e.attempts, FinalAt: e.final,
		DeliveredAt: e.delivered, ReplayedAt: e.replayed, Last: slices.Clone(e.attemptLog),
	}
	if e.state == delivery.Pending {
		t.NextAt = e.next
	}
	slices.Reverse(t.Last)
	t.Last = t.Last[:min(len(t.Last), delivery.MaxAttemptsListed)]
	return t
}

func (o *outbox) replay(event id.ID, now time.Time) error {
	e, ok := o.entries[event]
	switch {
	case !ok:
		return fault.New(fault.ResourceNotFound)
	case !e.state.Replayable():
		return fault.New(fault.StateConflict)
	}
	next := now
	for _, pending := range o.subjects() {
		if pending[0].subject == e.subject && pending[0].next.After(now) {
			next = pending[0].next
		}
	}
	e.state, e.attempts, e.created, e.replayed, e.next, e.delivered = delivery.Pending, 0, now, now, next, time.Time{}
	return nil
}

// List implements ports.Deliveries.
func (o *BillOutbox) List(_ context.Context, f delivery.Filter) ([]delivery.Listed, int, error) {
	o.rows.mu.Lock()
	defer o.rows.mu.Unlock()
	events, total := o.rows.out.list(delivery.BillResult, f)
	return events, total, nil
}

// Replay implements ports.Deliveries.
func (o *BillOutbox) Replay(_ context.Context, event id.ID, now time.Time) error {
	o.rows.mu.Lock()
	defer o.rows.mu.Unlock()
	if q, ok := o.rows.m[event]; ok && q.Status == bill.Processing {
		return fault.New(fault.StateConflict)
	}
	return o.rows.out.replay(event, now)
}

// List implements ports.Deliveries.
func (c *ChangeOutbox) List(_ context.Context, f delivery.Filter) ([]delivery.Listed, int, error) {
	c.rows.mu.Lock()
	defer c.rows.mu.Unlock()
	events, total := c.rows.out.list(delivery.ChangeResult, f)
	return events, total, nil
}

// Replay implements ports.Deliveries.
func (c *ChangeOutbox) Replay(_ context.Context, event id.ID, now time.Time) error {
	c.rows.mu.Lock()
	defer c.rows.mu.Unlock()
	if o, ok := c.rows.m[event]; ok && !o.State.Final() {
		return fault.New(fault.StateConflict)
	}
	return c.rows.out.replay(event, now)
}
