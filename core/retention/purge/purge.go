// Package purge deletes records whose retention period is over, a few at a time, in the background.
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

// Service deletes expired records. Several instances may run at once, and any may be stopped at any time: the remaining
// records are found again.
type Service struct {
	Histories []History
	Batch     int           // records examined at a time
	Pause     time.Duration // between two batches, so that others get at the database
	Done      func(ctx context.Context, history string, records int)
}

// Step deletes everything that is due and returns 0. Records that cannot be deleted delay no other history.
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
