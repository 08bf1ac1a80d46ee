package cases

import (
	"context"
	"time"

	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/operations"
	"phonebill/ports"
)

// Names of the actions in the audit log.
const (
	actStartMaintenance = "MAINTENANCE_STARTED"
	actEndMaintenance   = "MAINTENANCE_ENDED"
)

// Maintenance switches customers' operations off for a time. All fields are required; it is safe for concurrent use.
type Maintenance struct {
	Switch ports.MaintenanceSwitch
	Log    trail.Log
}

// Show returns the maintenance that is under way or planned; the zero value when there is none.
func (m *Maintenance) Show(ctx context.Context, by trail.By) (operations.Maintenance, error) {
	if err := by.Staff(); err != nil {
		return operations.Maintenance{}, err
	}
	current, err := m.Switch.Current(ctx)
	if err != nil || current.Over(m.Log.Now()) {
		return operations.Maintenance{}, err
	}
	return current, nil
}

// Start switches customers' operations off as wished, in place of what was switched before, and returns what is in
// force. It fails with VALIDATION_ERROR, which names the field. It is in the audit log before anything changes, and the
// outcome after.
func (m *Maintenance) Start(
	ctx context.Context, by trail.By, wished operations.Maintenance, reason string,
) (set operations.Maintenance, err error) {
	refused := by.Staff()
	if refused == nil {
		reason, refused = auth.ParseReason(reason)
	}
	if refused == nil {
		set, refused = operations.NewMaintenance(wished, m.Log.Now().UTC().Truncate(time.Second))
		set.By = by.Name
	}
	action := trail.Action{Action: actStartMaintenance, Reason: reason, Facts: map[string]string{
		"scope": string(set.Scope), "from": set.From.Format(time.RFC3339), "until": set.Until.Format(time.RFC3339),
	}}
	return set, m.Log.Do(ctx, by, action, refused, func(map[string]string) error { return m.Switch.Set(ctx, set) })
}

// End switches customers' operations on again; also when they are.
func (m *Maintenance) End(ctx context.Context, by trail.By) error {
	return m.Log.Do(ctx, by, trail.Action{Action: actEndMaintenance}, by.Staff(), func(map[string]string) error {
		return m.Switch.Set(ctx, operations.Maintenance{})
	})
}
