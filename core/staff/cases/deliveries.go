package cases

import (
	"context"
	"errors"

	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Deliveries lists deliveries to the MVNO AP server and replays one. All fields are required; it is safe for concurrent
// use.
type Deliveries struct {
	Bills   ports.Deliveries
	Changes ports.Deliveries
	Audit   ports.AuditLog
	Report  ports.Report
	Now     ports.Clock
	NewID   ports.IDs
}

// List returns one page of the events of a kind that match, those of the newest requests first, and how many match (at
// most delivery.MaxCounted). It fails with FORBIDDEN for a caller that is not staff, as every method here, and with
// VALIDATION_ERROR for an unknown kind or state.
func (s *Deliveries) List(
	ctx context.Context, by trail.By, kind delivery.Kind, f delivery.Filter,
) ([]delivery.Listed, int, error) {
	if err := by.Staff(); err != nil {
		return nil, 0, err
	}
	if err := errors.Join(kind.Check(), f.Check()); err != nil {
		return nil, 0, err
	}
	if kind == delivery.ChangeResult {
		return s.Changes.List(ctx, f)
	}
	return s.Bills.List(ctx, f)
}

// actReplay is the action of a replay in the audit log.
const actReplay = "DELIVERY_REPLAYED"

// Replay makes a delivered or parked event due for delivery again, under its id and its sequence number. It fails with
// NOT_FOUND for an unknown event, CONFLICT when it is pending anyway, and VALIDATION_ERROR without a reason. The intent
// is in the audit log before anything changes, and the outcome after.
func (s *Deliveries) Replay(ctx context.Context, by trail.By, event id.ID, reason string) error {
	refused := by.Staff()
	if refused == nil {
		reason, refused = auth.ParseReason(reason)
	}
	log := trail.Log{Audit: s.Audit, Report: s.Report, Now: s.Now, NewID: s.NewID}
	action := trail.Action{Action: actReplay, Subject: event.String(), Reason: reason}
	return log.Do(ctx, by, action, refused, func(map[string]string) error {
		err := s.Bills.Replay(ctx, event, s.Now())
		if errors.Is(err, fault.New(fault.ResourceNotFound)) {
			err = s.Changes.Replay(ctx, event, s.Now())
		}
		return err
	})
}
