// Package dispatch delivers results to the MVNO AP server (UFR-BILL-040, UFR-PROD-040, ADR 3).
package dispatch

import (
	"context"
	"errors"
	"time"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/ports"
)

// Service empties one outbox: many lines at once, each line's events one after the other. Several may run on one
// outbox, in one process and in many.
type Service[T any] struct {
	Outbox        ports.Outbox[T]
	Publisher     ports.Publisher[T]
	Now           ports.Clock
	Random        ports.Random
	Alerts        ports.Alerts
	Lease         time.Duration // of a line; longer than Attempt
	Attempt       time.Duration // the longest that one attempt takes: none is begun that may outlive the lease
	Lines         int           // delivered to at once
	EventsPerLine int           // events of a line per claim
}

// settleTimeout is how long the store may take to record attempts while the process is shutting down.
const settleTimeout = 5 * time.Second

// Step claims lines, delivers their events and returns how many lines it claimed; 0 means that nothing is due, or that
// the circuit breaker allows no attempt now.
func (s *Service[T]) Step(ctx context.Context) (int, error) {
	lines, each := s.claimSize()
	if lines == 0 {
		return 0, nil
	}
	claimedAt := s.Now()
	batches, err := s.Outbox.Claim(ctx, claimedAt, s.Lease, lines, each)
	if err != nil {
		return 0, err
	}
	claimed, results := 0, make(chan []delivery.AttemptResult, len(batches))
	for _, batch := range batches {
		claimed += len(batch)
		go func() { results <- s.deliver(ctx, batch, claimedAt.Add(s.Lease-s.Attempt)) }()
	}
	for remaining := len(batches); remaining > 0; {
		done, lines := collectResults(results)
		remaining -= lines
		err = errors.Join(err, s.settle(ctx, done))
	}
	return claimed, err
}

// claimSize returns how many lines to claim, and how many events of each. While the receiver is being probed it is one
// event of few lines.
func (s *Service[T]) claimSize() (lines, each int) {
	n := s.Publisher.Ready(s.Lines * s.EventsPerLine)
	lines = min(n, s.Lines)
	if lines == 0 {
		return 0, 0
	}
	return lines, min(s.EventsPerLine, n/lines)
}

// collectResults waits for a line to be finished and takes with it those that are finished as well: a slow line delays
// no other, and many fast ones are settled at once.
func collectResults(results <-chan []delivery.AttemptResult) (done []delivery.AttemptResult, lines int) {
	done, lines = <-results, 1
	for {
		select {
		case more := <-results:
			done, lines = append(done, more...), lines+1
		default:
			return done, lines
		}
	}
}

// deliver delivers a line's events in order until one fails, the time to begin one is over, or all are delivered.
func (s *Service[T]) deliver(ctx context.Context, batch []delivery.Item[T], until time.Time) []delivery.AttemptResult {
	done := make([]delivery.AttemptResult, 0, len(batch))
	mayGoOn := true
	for _, item := range batch {
		attempt := delivery.Attempt{Outcome: delivery.NotAttempted}
		if mayGoOn && !s.Now().After(until) {
			attempt = s.attempt(ctx, item)
		}
		now := s.Now()
		settled := delivery.AttemptResult{ID: item.ID, Fence: item.Fence, Attempt: attempt, State: delivery.Pending,
			Next: now}
		if attempt.Made() {
			var wait time.Duration
			settled.State, wait = delivery.NextState(item.CreatedAt, item.Attempts, attempt, now, s.Random())
			settled.Next = now.Add(wait)
		}
		mayGoOn = mayGoOn && settled.State != delivery.Pending
		done = append(done, settled)
	}
	return done
}

// attempt makes one attempt, unless the event is unreadable. An attempt that ends with the process's shutdown counts as
// not made.
func (s *Service[T]) attempt(ctx context.Context, item delivery.Item[T]) delivery.Attempt {
	if item.Unreadable != nil {
		return *item.Unreadable
	}
	if ctx.Err() != nil {
		return delivery.Attempt{Outcome: delivery.NotAttempted}
	}
	a := s.Publisher.Publish(ctx, item)
	if a.Outcome == delivery.Failed && ctx.Err() != nil {
		a.Outcome = delivery.NotAttempted
	}
	return a
}

// settle records also while the process is shutting down: what was delivered need not be delivered again.
func (s *Service[T]) settle(ctx context.Context, done []delivery.AttemptResult) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	err := s.Outbox.Settle(within, s.Now(), done...)
	if errors.Is(err, fault.New(fault.StateConflict)) {
		err = nil // another worker has claimed some of them; the receiver drops the duplicate by its id
	}
	if err != nil {
		return err
	}
	for _, d := range done {
		if d.State == delivery.Parked {
			s.Alerts.Raise(ctx, operations.Alert{Kind: operations.DeliveryParked, Subject: d.ID.String(), Note: d.Attempt.Note})
		}
	}
	return nil
}
