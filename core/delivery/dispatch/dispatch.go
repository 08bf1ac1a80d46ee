// Package dispatch tells the MVNO AP server about results (UFR-BILL-040, UFR-PROD-040, decision 14).
package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/alert"
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
	Alerts    ports.Alerts
	Lease     time.Duration // longer than one attempt may take
	Batch     int           // items told at a time, at once
}

// Step tells one batch and answers how many items it had; 0 means that nothing is due, or that the receiver is left alone for a while.
func (s *Service[T]) Step(ctx context.Context) (int, error) {
	n := s.Publisher.Ready(s.Batch)
	if n == 0 {
		return 0, nil
	}
	items, err := s.Outbox.Claim(ctx, s.Now(), s.Lease, n)
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
	if !attempt.Made() {
		return nil // nothing happened: the item is due again when its lease is over, no attempt poorer
	}
	now := s.Now()
	state, wait := delivery.After(item.CreatedAt, item.Attempts, attempt, now, s.Random())
	err := s.Outbox.Settle(ctx, item, attempt, state, now, now.Add(wait))
	if errors.Is(err, fault.New(fault.StateConflict)) {
		return nil // somebody else has it; the receiver drops the double by its id
	}
	if err == nil && state == delivery.Parked {
		s.Alerts.Raise(ctx, alert.Alert{Kind: alert.DeliveryParked, Subject: item.ID.String(), Note: attempt.Note})
	}
	return err
}
