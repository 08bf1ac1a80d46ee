// Package desk is where staff look at deliveries to the MVNO AP server and have one told again (UFR-BILL-040, UFR-PROD-040).
package desk

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Service shows deliveries. All fields are required; it is safe for concurrent use.
type Service struct {
	Bills   ports.Deliveries
	Changes ports.Deliveries
	Audit   ports.AuditLog
	Report  ports.Report
	Now     ports.Clock
	NewID   ports.IDs
}

// By is the member of staff who asks, as he stands in the audit log.
type By struct {
	Name  string // user id, or cli:<account of the operating system>
	Roles []auth.Role
	IP    string
}

func (b By) staff() error {
	if (auth.Principal{Roles: b.Roles}).Staff() {
		return nil
	}
	return fault.New(fault.PermissionDenied)
}

// List answers one page of the events of a kind that match, those of the newest requests first, and how many match (at most
// delivery.MostCounted). FORBIDDEN for who is not staff, as everywhere here.
func (s *Service) List(ctx context.Context, by By, kind delivery.Kind, f delivery.Filter) ([]delivery.Told, int, error) {
	if err := by.staff(); err != nil {
		return nil, 0, err
	}
	if kind == delivery.ChangeResult {
		return s.Changes.List(ctx, f)
	}
	return s.Bills.List(ctx, f)
}

// action is what a replay is called in the audit log.
const action = "DELIVERY_REPLAYED"

// settleWithin is how long a row of the audit log may take whose caller may have hung up.
const settleWithin = 5 * time.Second

// Replay has a delivered or parked event told again, under its id and its sequence number. NOT_FOUND without it, CONFLICT when it is
// pending anyway, VALIDATION_ERROR without a reason. The intent is in the audit log before anything changes, and what came of it after.
func (s *Service) Replay(ctx context.Context, by By, event id.ID, reason string) error {
	err := by.staff()
	if err == nil {
		reason, err = auth.ParseReason(reason)
	}
	row := audit.Entry{Actor: by.Name, Action: action, Subject: event.String(), Reason: reason, Detail: s.detail(), IP: by.IP}
	if err != nil {
		return errors.Join(err, s.settle(ctx, row, err))
	}
	row.At, row.Outcome = s.Now(), audit.Intended
	if err := s.Audit.Append(ctx, row); err != nil {
		return err
	}
	err = s.Bills.Replay(ctx, event, s.Now())
	if errors.Is(err, fault.New(fault.ResourceNotFound)) {
		err = s.Changes.Replay(ctx, event, s.Now())
	}
	if trouble := s.settle(ctx, row, err); trouble != nil {
		s.Report(ctx, trouble)
	}
	return err
}

// detail is the number that both rows of a call carry.
func (s *Service) detail() string {
	raw, err := json.Marshal(map[string]string{"call": s.NewID().String()})
	if err != nil {
		return `{}` // a text always marshals
	}
	return string(raw)
}

// settle records what came of a call, also when its caller has hung up.
func (s *Service) settle(ctx context.Context, row audit.Entry, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	row.At, row.Outcome = s.Now(), audit.Done
	if err != nil {
		row.Outcome = audit.Outcome(fault.From(err).Code())
	}
	return s.Audit.Append(ctx, row)
}
