// Package warm fetches copies before anybody asks for them, of the lines whose customers have been here of late, from what the budget
// has to spare.
package warm

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

// Service keeps one kind of copies warm. Several instances may share one store: each line is one instance's at a time, and what was cut off
// is due again soon. It is safe for concurrent use.
type Service struct {
	Kind   freshness.Kind
	Lines  ports.ActiveLines
	Active time.Duration // lines seen within it
	Now    ports.Clock
	Open   func(now time.Time) bool                                             // whether it is time at all
	Fetch  func(ctx context.Context, n line.Number) (told time.Time, err error) // in the lane of prefetches; asks nothing about what is fresh
	Next   func(told time.Time) time.Time                                       // when a line is due again

	mu     sync.Mutex
	seen   map[line.Number]struct{}
	noted  time.Time
	resume time.Time
}

const (
	noting = time.Minute      // between two notes of who was here
	most   = 10_000           // lines remembered between two notes; who finds no place is seen another time
	batch  = 8                // lines leased at a time
	lease  = 2 * time.Minute  // longer than a batch takes
	rest   = 10 * time.Second // when the budget is needed for others
)

// Seen says that the line's customer is here. It costs next to nothing and never fails.
func (s *Service) Seen(n line.Number) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[line.Number]struct{}{}
	}
	if len(s.seen) < most {
		s.seen[n] = struct{}{}
	}
}

// Step notes who was here, fetches for a few lines that are due and answers how many they were. When the budget is needed for others it
// stops and gives back what it has not reached; what a crash cuts off is due again when the lease ends.
func (s *Service) Step(ctx context.Context) (int, error) {
	now := s.Now()
	if err := s.note(ctx, now); err != nil || now.Before(s.resume) || !s.Open(now) {
		return 0, err
	}
	due, err := s.Lines.Due(ctx, s.Kind, now, now.Add(-s.Active), lease, batch)
	if err != nil {
		return 0, err
	}
	for i, n := range due {
		next, goOn := s.fetch(ctx, n)
		if err := s.Lines.Done(ctx, s.Kind, n, next); err != nil {
			return 0, err
		}
		if !goOn {
			return 0, s.giveBack(ctx, due[i+1:])
		}
	}
	return len(due), nil
}

// fetch answers when the line is due next, and whether there is budget for others. A line that KOS fails on is due when it would be had KOS
// answered: it may not hold up the others, nor cost more than they do.
func (s *Service) fetch(ctx context.Context, n line.Number) (next time.Time, goOn bool) {
	told, err := s.Fetch(ctx, n)
	switch {
	case err == nil:
		return s.Next(told), true
	case errors.Is(err, ports.ErrNotAsked):
		s.resume = s.Now().Add(max(rest, fault.From(err).RetryAfter()))
		return s.resume, false
	default:
		return s.Next(s.Now()), true
	}
}

// giveBack makes lines that were not reached due again for whoever has budget.
func (s *Service) giveBack(ctx context.Context, lines []line.Number) error {
	for _, n := range lines {
		if err := s.Lines.Done(ctx, s.Kind, n, s.resume); err != nil {
			return err
		}
	}
	return nil
}

// note writes down who was here since the last time. What cannot be written is kept for the next.
func (s *Service) note(ctx context.Context, now time.Time) error {
	if now.Sub(s.noted) < noting {
		return nil
	}
	s.noted = now
	s.mu.Lock()
	lines := make([]line.Number, 0, len(s.seen))
	for n := range s.seen {
		lines = append(lines, n)
	}
	s.seen = nil
	s.mu.Unlock()
	if len(lines) == 0 {
		return nil
	}
	if err := s.Lines.NoteActiveLine(ctx, s.Kind, lines, now, s.Next(now)); err != nil {
		for _, n := range lines {
			s.Seen(n)
		}
		return err
	}
	return s.Lines.Forget(ctx, s.Kind, now.Add(-s.Active))
}
