// Package prefetch fetches copies ahead: before they are asked for, of the lines whose customers were active lately,
// from what the budget of KOS calls has to spare. Begin with Service.Step.
package prefetch

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/ports"
)

// Service keeps one kind of copies fresh: it fetches them before they are asked for, of the lines whose customers
// were active lately, from what the budget of KOS calls has to spare. Several instances may share one store: each line
// is one instance's at a time, and what was cut off is due again soon. It is safe for concurrent use.
type Service struct {
	Kind   freshness.Kind
	Lines  ports.ActiveLines
	Active time.Duration // lines noted as active within it
	Now    ports.Clock
	Open   func(now time.Time) bool // whether lines are fetched now
	// Fetch fetches a line's copy in the lane of prefetches and returns when KOS was asked for it. It makes no call for a
	// copy that is fresh.
	Fetch func(ctx context.Context, n line.Number) (asOf time.Time, err error)
	// Next returns when a line is due again.
	Next func(asOf time.Time) time.Time

	mu      sync.Mutex
	active  map[line.Number]struct{}
	notedAt time.Time
	resume  time.Time
}

const (
	noteInterval = time.Minute      // between two writes of active lines
	maxNoted     = 10_000           // lines remembered between two writes; one that finds no place is noted another time
	batch        = 8                // lines leased at a time
	lease        = 2 * time.Minute  // longer than a batch takes
	pause        = 10 * time.Second // when the budget is needed for others
)

// NoteActive records that the line's customer is active. It costs next to nothing and never fails.
func (s *Service) NoteActive(n line.Number) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active == nil {
		s.active = map[line.Number]struct{}{}
	}
	if len(s.active) < maxNoted {
		s.active[n] = struct{}{}
	}
}

// Step stores the active lines, fetches the copies of a few lines that are due and returns how many they were. When
// the budget is needed for others it stops and gives back the lines that it has not reached; those that a crash cuts
// off are due again when the lease ends.
func (s *Service) Step(ctx context.Context) (int, error) {
	now := s.Now()
	if err := s.storeActive(ctx, now); err != nil || now.Before(s.resume) || !s.Open(now) {
		return 0, err
	}
	due, err := s.Lines.Due(ctx, s.Kind, now, now.Add(-s.Active), lease, batch)
	if err != nil {
		return 0, err
	}
	for i, n := range due {
		next, hasBudget := s.fetch(ctx, n)
		if err := s.Lines.Done(ctx, s.Kind, n, next); err != nil {
			return 0, err
		}
		if !hasBudget {
			return 0, s.giveBack(ctx, due[i+1:])
		}
	}
	return len(due), nil
}

// fetch fetches one line's copy. It returns when the line is due next, and whether there is budget for others. A line
// that KOS fails on is due when it would be had KOS answered: it may not hold up the others, nor cost more than they
// do.
func (s *Service) fetch(ctx context.Context, n line.Number) (next time.Time, hasBudget bool) {
	asOf, err := s.Fetch(ctx, n)
	switch {
	case err == nil:
		return s.Next(asOf), true
	case errors.Is(err, ports.ErrNotAsked):
		s.resume = s.Now().Add(max(pause, fault.From(err).RetryAfter()))
		return s.resume, false
	default:
		return s.Next(s.Now()), true
	}
}

// giveBack makes lines that were not reached due again when there may be budget.
func (s *Service) giveBack(ctx context.Context, lines []line.Number) error {
	for _, n := range lines {
		if err := s.Lines.Done(ctx, s.Kind, n, s.resume); err != nil {
			return err
		}
	}
	return nil
}

// storeActive stores the lines noted since the last time. Those that cannot be stored are kept for the next time.
func (s *Service) storeActive(ctx context.Context, now time.Time) error {
	if now.Sub(s.notedAt) < noteInterval {
		return nil
	}
	s.notedAt = now
	s.mu.Lock()
	lines := make([]line.Number, 0, len(s.active))
	for n := range s.active {
		lines = append(lines, n)
	}
	s.active = nil
	s.mu.Unlock()
	if len(lines) == 0 {
		return nil
	}
	if err := s.Lines.NoteActiveLine(ctx, s.Kind, lines, now, s.Next(now)); err != nil {
		for _, n := range lines {
			s.NoteActive(n)
		}
		return err
	}
	return s.Lines.Forget(ctx, s.Kind, now.Add(-s.Active))
}
