// Package warm fetches copies before anybody asks for them, of the lines whose customers have been here of late, from what the budget
// has to spare.
package warm

import (
	"context"
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
	rest   = 10 * time.Second // after trouble
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

// Step notes who was here, fetches for a few lines that are due and answers how many they were. When the budget is needed for others, or
// KOS is in trouble, it stops; what it has leased is due again when the lease ends.
func (s *Service) Step(ctx context.Context) (int, error) {
	now := s.Now()
	if err := s.note(ctx, now); err != nil || now.Before(s.resume) || !s.Open(now) {
		return 0, err
	}
	due, err := s.Lines.Due(ctx, s.Kind, now, now.Add(-s.Active), lease, batch)
	if err != nil {
		return 0, err
	}
	for _, n := range due {
		told, err := s.Fetch(ctx, n)
		f := fault.From(err)
		switch {
		case err == nil:
		case f.Kind() == fault.NotFound: // KOS has nothing to tell of it
			told = s.Now()
		default:
			s.resume = s.Now().Add(max(rest, f.RetryAfter()))
			return 0, nil
		}
		if err := s.Lines.Done(ctx, s.Kind, n, s.Next(told)); err != nil {
			return 0, err
		}
	}
	return len(due), nil
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
	if err := s.Lines.Seen(ctx, s.Kind, lines, now, s.Next(now)); err != nil {
		for _, n := range lines {
			s.Seen(n)
		}
		return err
	}
	return s.Lines.Forget(ctx, s.Kind, now.Add(-s.Active))
}
