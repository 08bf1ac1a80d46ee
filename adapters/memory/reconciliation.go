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

// ReconciliationSource implements ports.ReconciliationSource on the rows of Orders.
type ReconciliationSource struct{ rows *Orders }

var _ ports.ReconciliationSource = (*ReconciliationSource)(nil)

// ReconciliationSource returns the same rows for reconciliation.
func (s *Orders) ReconciliationSource() *ReconciliationSource { return &ReconciliationSource{s} }

// Final returns orders as they became final.
func (b *ReconciliationSource) Final(
	_ context.Context, from, to time.Time, after product.ReconciliationPlace, n int,
) ([]product.ReconciliationEntry, error) {
	b.rows.mu.Lock()
	defer b.rows.mu.Unlock()
	var found []product.ReconciliationEntry
	for _, o := range b.rows.m {
		place := product.ReconciliationPlace{At: o.ProcessedAt, ID: o.ID}
		if o.State.Final() && !o.ProcessedAt.Before(from) && o.ProcessedAt.Before(to) && placed(after, place) < 0 {
			found = append(found, b.entry(o))
		}
	}
	slices.SortFunc(found, func(a, b product.ReconciliationEntry) int {
		return placed(product.ReconciliationPlace{At: a.Order.ProcessedAt, ID: a.Order.ID},
			product.ReconciliationPlace{At: b.Order.ProcessedAt, ID: b.Order.ID})
	})
	return found[:min(n, len(found))], nil
}

func placed(a, b product.ReconciliationPlace) int {
	return cmp.Or(a.At.Compare(b.At), bytes.Compare(a.ID[:], b.ID[:]))
}

// Entry returns one order.
func (b *ReconciliationSource) Entry(_ context.Context, order id.ID) (product.ReconciliationEntry, error) {
	b.rows.mu.Lock()
	defer b.rows.mu.Unlock()
	o, err := found(b.rows.m, order)
	return b.entry(o), err
}

func (b *ReconciliationSource) entry(o product.Order) product.ReconciliationEntry {
	e := product.ReconciliationEntry{Order: o, Delivery: deliveryStatus(b.rows.out.entries[o.ID])}
	for _, other := range b.rows.m {
		if other.Line != o.Line || other.ID == o.ID {
			continue
		}
		its := deliveryStatus(b.rows.out.entries[other.ID])
		switch {
		case its.Sequence == 0:
		case its.Sequence == e.Delivery.Sequence:
			e.DuplicateSequence = true
		case its.Sequence < e.Delivery.Sequence && its.Sequence > e.Previous.Sequence:
			e.Previous = its
		}
		e.Superseded = e.Superseded || other.State == product.Completed && other.ProcessedAt.After(o.ProcessedAt)
		e.HasLiveOrder = e.HasLiveOrder || !other.State.Final()
	}
	e.Previous.Accepted = 0
	return e
}

func deliveryStatus(e *entry) product.DeliveryStatus {
	if e == nil {
		return product.DeliveryStatus{State: delivery.None}
	}
	t := product.DeliveryStatus{State: e.state, Sequence: e.sequence, AcceptedAt: e.delivered, ReplayedAt: e.replayed}
	for _, made := range e.attemptLog {
		if made.State == delivery.Delivered {
			t.Accepted++
		}
	}
	return t
}

// Open returns orders that are not final.
func (b *ReconciliationSource) Open(_ context.Context, before time.Time, after id.ID, n int) ([]product.Order, error) {
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

// ReconciliationRuns implements ports.ReconciliationRuns.
type ReconciliationRuns struct {
	mu          sync.Mutex
	runs        []product.ReconciliationRun // in the order of their ids
	lease       time.Time                   // of the one that is not finished
	differences map[id.ID][]product.Difference
}

var _ ports.ReconciliationRuns = (*ReconciliationRuns)(nil)

// Begin stores a run.
func (s *ReconciliationRuns) Begin(_ context.Context, run product.ReconciliationRun) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running() >= 0 {
		return fault.New(fault.StateConflict)
	}
	s.lease = run.StartedAt
	s.runs = append(s.runs, run)
	slices.SortFunc(s.runs, func(a, b product.ReconciliationRun) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return nil
}

func (s *ReconciliationRuns) running() int {
	return slices.IndexFunc(s.runs, func(r product.ReconciliationRun) bool { return r.Finished.IsZero() })
}

// Claim leases the unfinished run without a lease.
func (s *ReconciliationRuns) Claim(
	_ context.Context, now time.Time, lease time.Duration,
) (product.ReconciliationRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.running()
	if i < 0 || s.lease.After(now) {
		return product.ReconciliationRun{}, fault.New(fault.ResourceNotFound)
	}
	s.lease = now.Add(lease)
	s.runs[i].Fence++
	return s.report(i).Run, nil
}

// Save stores how far a run is.
func (s *ReconciliationRuns) Save(
	_ context.Context, run product.ReconciliationRun, until time.Time, found ...product.Difference,
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.running()
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

// Nightly reports whether there is a nightly run.
func (s *ReconciliationRuns) Nightly(_ context.Context, since time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.runs, func(r product.ReconciliationRun) bool {
		return r.Nightly && !r.StartedAt.Before(since)
	}), nil
}

// Report returns a run with its differences.
func (s *ReconciliationRuns) Report(_ context.Context, run id.ID) (product.ReconciliationReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.runs) - 1; i >= 0; i-- {
		if run.IsZero() || s.runs[i].ID == run {
			return s.report(i), nil
		}
	}
	return product.ReconciliationReport{}, fault.New(fault.ResourceNotFound)
}

func (s *ReconciliationRuns) report(i int) product.ReconciliationReport {
	all := s.differences[s.runs[i].ID]
	shown := slices.Clone(all[:min(len(all), product.MaxDifferencesShown)])
	out := product.ReconciliationReport{Run: s.runs[i], Differences: shown}
	out.Run.Found = len(all)
	return out
}
