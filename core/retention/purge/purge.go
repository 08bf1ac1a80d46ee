// Package purge forgets records whose time is over, a few at a time, beside all other work.
package purge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"phonebill/ports"
)

// History is one kind of records.
type History struct {
	Name  string // for the log
	Years int    // kept
	Purge ports.Purge
}

// Service forgets. Several instances may run at once, and any may be stopped at any time: what is left is found again.
type Service struct {
	Histories []History
	Batch     int           // records looked at at a time
	Pause     time.Duration // between two batches, so that others get at the database
	Done      func(ctx context.Context, history string, records int)
}

// Step drops everything that is due; 0, for there is no more. What cannot be dropped holds up no other history.
func (s *Service) Step(ctx context.Context) (int, error) {
	var errs []error
	for _, h := range s.Histories {
		dropped, err := s.drop(ctx, h)
		if dropped > 0 {
			s.Done(ctx, h.Name, dropped)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("retention of %s: %w", h.Name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return 0, errors.Join(errs...)
}

func (s *Service) drop(ctx context.Context, h History) (dropped int, err error) {
	for {
		n, more, err := h.Purge(ctx, h.Years, s.Batch)
		dropped += n
		if err != nil || !more {
			return dropped, err
		}
		select {
		case <-time.After(s.Pause):
		case <-ctx.Done():
			return dropped, ctx.Err()
		}
	}
}
