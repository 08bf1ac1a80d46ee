package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Books implements ports.Books on the rows of Orders.
type Books struct{ rows *Orders }

var _ ports.Books = (*Books)(nil)

// Books answers the same rows as the books are compared by.
func (s *Orders) Books() *Books { return &Books{s} }

// Final answers orders as they became final.
func (b *Books) Final(_ context.Context, from, to time.Time, after product.BookPlace, n int) ([]product.Entry, error) {
	b.rows.mu.Lock()
	defer b.rows.mu.Unlock()
	var found []product.Entry
	for _, o := range b.rows.m {
		place := product.BookPlace{At: o.ProcessedAt, ID: o.ID}
		if o.State.Final() && !o.ProcessedAt.Before(from) && o.ProcessedAt.Before(to) && placed(after, place) < 0 {
			found = append(found, b.entry(o))
		}
	}
	slices.SortFunc(found, func(a, b product.Entry) int {
		return placed(product.BookPlace{At: a.Order.ProcessedAt, ID: a.Order.ID}, product.BookPlace{At: b.Order.ProcessedAt, ID: b.Order.ID})
	})
	return found[:min(n, len(found))], nil
}

func placed(a, b product.BookPlace) int {
	return cmp.Or(a.At.Compare(b.At), bytes.Compare(a.ID[:], b.ID[:]))
}

// Entry answers one order.
func (b *Books) Entry(_ context.Context, order id.ID) (product.Entry, error) {
	b.rows.mu.Lock()
	defer b.rows.mu.Unlock()
	o, err := found(b.rows.m, order)
	return b.entry(o), err
}

func (b *Books) entry(o product.Order) product.Entry {
	e := product.Entry{Order: o, Told: told(b.rows.out.entries[o.ID])}
	for _, other := range b.rows.m {
		if other.Line != o.Line || other.ID == o.ID {
			continue
		}
		its := told(b.rows.out.entries[other.ID])
		switch {
		case its.Sequence == 0:
		case its.Sequence == e.Told.Sequence:
			e.Twin = true
		case its.Sequence < e.Told.Sequence && its.Sequence > e.Before.Sequence:
			e.Before = its
		}
		e.Replaced = e.Replaced || other.State == product.Completed && other.ProcessedAt.After(o.ProcessedAt)
		e.Followed = e.Followed || !other.State.Final()
	}
	e.Before.Times = 0
	return e
}

func told(e *entry) product.Telling {
	if e == nil {
		return product.Telling{State: delivery.None}
	}
	t := product.Telling{State: e.state, Sequence: e.sequence, At: e.delivered, Replayed: e.replayed}
	for _, made := range e.told {
		if made.State == delivery.Delivered {
			t.Times++
		}
	}
	return t
}

// Open answers orders that are not final.
func (b *Books) Open(_ context.Context, before time.Time, after id.ID, n int) ([]product.Order, error) {
	b.rows.mu.Lock()
	defer b.rows.mu.Unlock()
	var open []product.Order
	for _, o := range b.rows.m {
		if !o.State.Final() && o.RequestedAt.Before(before) && bytes.Compare(o.ID[:], after[:]) > 0 {
			open = append(open, o)
		}
	}
	slices.SortFunc(open, func(a, b product.Order) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return open[:min(n, len(open))], nil
}

// BookRuns implements ports.BookRuns.
type BookRuns struct {
	mu          sync.Mutex
	runs        []product.BookRun // in the order of their ids
	lease       time.Time         // of the one that is not finished
	differences map[id.ID][]product.Difference
}

var _ ports.BookRuns = (*BookRuns)(nil)

// Begin stores a run.
func (s *BookRuns) Begin(_ context.Context, run product.BookRun) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.going() >= 0 {
		return fault.New(fault.StateConflict)
	}
	s.lease = run.StartedAt
	s.runs = append(s.runs, run)
	slices.SortFunc(s.runs, func(a, b product.BookRun) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return nil
}

func (s *BookRuns) going() int {
	return slices.IndexFunc(s.runs, func(r product.BookRun) bool { return r.Finished.IsZero() })
}

// Claim leases the run that nobody carries on.
func (s *BookRuns) Claim(_ context.Context, now time.Time, lease time.Duration) (product.BookRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.going()
	if i < 0 || s.lease.After(now) {
		return product.BookRun{}, fault.New(fault.ResourceNotFound)
	}
	s.lease = now.Add(lease)
	s.runs[i].Fence++
	return s.report(i).Run, nil
}

// Save stores how far a run is.
func (s *BookRuns) Save(_ context.Context, run product.BookRun, until time.Time, found ...product.Difference) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.going()
	if i < 0 || s.runs[i].ID != run.ID || s.runs[i].Fence != run.Fence {
		return fault.New(fault.StateConflict)
	}
	s.lease = until
	s.runs[i] = run
	if s.differences == nil {
		s.differences = map[id.ID][]product.Difference{}
	}
	all := s.differences[run.ID]
	for _, d := range found {
		same := func(o product.Difference) bool { return o.RequestID == d.RequestID && o.Kind == d.Kind }
		if !slices.ContainsFunc(all, same) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b product.Difference) int {
		return cmp.Or(bytes.Compare(a.RequestID[:], b.RequestID[:]), cmp.Compare(a.Kind, b.Kind))
	})
	s.differences[run.ID] = all
	return nil
}

// Nightly looks for a nightly run.
func (s *BookRuns) Nightly(_ context.Context, since time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.runs, func(r product.BookRun) bool { return r.Nightly && !r.StartedAt.Before(since) }), nil
}

// Report answers a run with its differences.
func (s *BookRuns) Report(_ context.Context, run id.ID) (product.BookReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.runs) - 1; i >= 0; i-- {
		if run.IsZero() || s.runs[i].ID == run {
			return s.report(i), nil
		}
	}
	return product.BookReport{}, fault.New(fault.ResourceNotFound)
}

func (s *BookRuns) report(i int) product.BookReport {
	all := s.differences[s.runs[i].ID]
	out := product.BookReport{Run: s.runs[i], Differences: slices.Clone(all[:min(len(all), product.MostDifferencesShown)])}
	out.Run.Found = len(all)
	return out
}
