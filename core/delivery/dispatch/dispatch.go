// Package dispatch tells the MVNO AP server about results (UFR-BILL-040, UFR-PROD-040, ADR 3).
package dispatch

import (
	"context"
	"errors"
	"time"

	"phonebill/core/alert"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/ports"
)

// Service empties one outbox: many lines at once, each line's events one after the other. Several may run on one outbox, in one process
// and in many.
type Service[T any] struct {
	Outbox        ports.Outbox[T]
	Publisher     ports.Publisher[T]
	Now           ports.Clock
	Random        ports.Random
	Alerts        ports.Alerts
	Lease         time.Duration // of a line; longer than Attempt
	Attempt       time.Duration // the longest that one attempt takes: none is begun that may outlive the lease
	Lines         int           // told at once
	EventsPerLine int           // events of a line per claim
}

// settleWithin is how long the store may take for what was told while the process is going down.
const settleTimeout = 5 * time.Second

// Step claims lines, tells their events and answers how many it claimed; 0 means that nothing is due, or that the receiver is left alone
// for a while.
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
	claimed, told := 0, make(chan []delivery.AttemptResult, len(batches))
	for _, batch := range batches {
		claimed += len(batch)
		go func() { told <- s.deliver(ctx, batch, claimedAt.Add(s.Lease-s.Attempt)) }()
	}
	for left := len(batches); left > 0; {
		done, lines := collectResults(told)
		left -= lines
		err = errors.Join(err, s.settle(ctx, done))
	}
	return claimed, err
}

// reach is how many lines to claim, and how many events of each. A receiver that is only tried gets one event of few lines.
func (s *Service[T]) claimSize() (lines, each int) {
	n := s.Publisher.Ready(s.Lines * s.EventsPerLine)
	lines = min(n, s.Lines)
	if lines == 0 {
		return 0, 0
	}
	return lines, min(s.EventsPerLine, n/lines)
}

// gather waits for a line to be told and takes with it those that are told as well: a slow line holds up nobody, and many fast ones are
// settled at once.
func collectResults(told <-chan []delivery.AttemptResult) (done []delivery.AttemptResult, lines int) {
	done, lines = <-told, 1
	for {
		select {
		case more := <-told:
			done, lines = append(done, more...), lines+1
		default:
			return done, lines
		}
	}
}

// tell tells a line's events in order until one fails, none may be begun any more, or all are told.
func (s *Service[T]) deliver(ctx context.Context, batch []delivery.Item[T], until time.Time) []delivery.AttemptResult {
	done := make([]delivery.AttemptResult, 0, len(batch))
	goOn := true
	for _, item := range batch {
		attempt := delivery.Attempt{Outcome: delivery.NotAttempted}
		if goOn && !s.Now().After(until) {
			attempt = s.attempt(ctx, item)
		}
		now := s.Now()
		settled := delivery.AttemptResult{ID: item.ID, Fence: item.Fence, Attempt: attempt, State: delivery.Pending, Next: now}
		if attempt.Made() {
			var wait time.Duration
			settled.State, wait = delivery.NextState(item.CreatedAt, item.Attempts, attempt, now, s.Random())
			settled.Next = now.Add(wait)
		}
		goOn = goOn && settled.State != delivery.Pending
		done = append(done, settled)
	}
	return done
}

// attempt makes one, unless the event cannot be told. One that we break off because we are leaving says nothing.
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

// settle records also while the process is going down: what was told need not be told again.
func (s *Service[T]) settle(ctx context.Context, done []delivery.AttemptResult) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	err := s.Outbox.Settle(within, s.Now(), done...)
	if errors.Is(err, fault.New(fault.StateConflict)) {
		err = nil // somebody else has some of them; the receiver drops the double by its id
	}
	if err != nil {
		return err
	}
	for _, d := range done {
		if d.State == delivery.Parked {
			s.Alerts.Raise(ctx, alert.Alert{Kind: alert.DeliveryParked, Subject: d.ID.String(), Note: d.Attempt.Note})
		}
	}
	return nil
}
