// Package dispatch tells the MVNO AP server about results (UFR-BILL-040, UFR-PROD-040, decision 14).
package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/ports"
)

// Service empties one outbox. Several instances may run on one outbox.
type Service[T any] struct {
	Outbox    ports.Outbox[T]
	Publisher ports.Publisher[T]
	Now       ports.Clock
	Random    ports.Random
	Lease     time.Duration // longer than one attempt may take
	Batch     int           // items told at a time, at once
}

// Step tells one batch and answers how many items it had; 0 means nothing is due.
func (s *Service[T]) Step(ctx context.Context) (int, error) {
	items, err := s.Outbox.Claim(ctx, s.Now(), s.Lease, s.Batch)
	if err != nil {
		return 0, err
	}
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	for i, item := range items {
		wg.Go(func() { errs[i] = s.tell(ctx, item) })
	}
	wg.Wait()
	return len(items), errors.Join(errs...)
}

func (s *Service[T]) tell(ctx context.Context, item delivery.Item[T]) error {
	attempt := s.Publisher.Publish(ctx, item)
	now := s.Now()
	state, wait := delivery.After(item.CreatedAt, item.Attempts, attempt, now, s.Random())
	err := s.Outbox.Settle(ctx, item, attempt, state, now, now.Add(wait))
	if errors.Is(err, fault.New(fault.StateConflict)) {
		return nil // somebody else has it; the receiver drops the double by its id
	}
	return err
}
