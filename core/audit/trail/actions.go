// Package trail writes, closes and reads the audit trail: what staff see and do, the intent before anything changes and
// the outcome after it (actions.go); the signed checkpoints that tie its chains together, and the verification of the
// whole (attest.go; ADR 26, bar R11). Begin with actions.go.
package trail

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/ports"
)

// By is the member of staff who calls, as recorded in the audit log.
type By struct {
	Name  string // user id, or cli:<account of the operating system>
	Roles []auth.Role
	IP    string
}

// Staff fails with FORBIDDEN when the caller is no member of staff.
func (b By) Staff() error {
	if (auth.Principal{Roles: b.Roles}).Staff() {
		return nil
	}
	return fault.New(fault.PermissionDenied)
}

// Log keeps the record. All fields are required; it is safe for concurrent use.
type Log struct {
	Audit  ports.AuditLog
	Report ports.Report // receives the error when an outcome could not be recorded
	Now    ports.Clock
	NewID  ports.IDs
}

// Action is one action of staff.
type Action struct {
	Action, Subject, Reason string
	Facts                   map[string]string // of the call, JSON in the log; do may add its result. May be nil
}

// outcomeTimeout is how long a row of the audit log may take whose caller may have hung up.
const outcomeTimeout = 5 * time.Second

// Do runs do between two rows of the audit log and returns its error; without the first row do is not run. An action
// refused beforehand (refused is not nil) has one row. Both rows carry the number of the call.
func (l Log) Do(ctx context.Context, by By, d Action, refused error, do func(facts map[string]string) error) error {
	facts := map[string]string{"call": l.NewID().String()}
	for k, v := range d.Facts {
		facts[k] = v
	}
	row := audit.Entry{Actor: by.Name, Action: d.Action, Subject: d.Subject, Reason: d.Reason, IP: by.IP}
	if refused != nil {
		return errors.Join(refused, l.recordOutcome(ctx, row, facts, refused))
	}
	row.At, row.Outcome, row.Detail = l.Now(), audit.Intended, detail(facts)
	if err := l.Audit.Append(ctx, row); err != nil {
		return err
	}
	err := do(facts)
	if trouble := l.recordOutcome(ctx, row, facts, err); trouble != nil {
		l.Report(ctx, trouble)
	}
	return err
}

func detail(facts map[string]string) string {
	raw, err := json.Marshal(facts)
	if err != nil {
		return `{}` // texts always marshal
	}
	return string(raw)
}

// recordOutcome records the outcome of a call, also when its caller has hung up.
func (l Log) recordOutcome(ctx context.Context, row audit.Entry, facts map[string]string, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), outcomeTimeout)
	defer cancel()
	row.At, row.Outcome, row.Detail = l.Now(), audit.Done, detail(facts)
	if err != nil {
		row.Outcome = audit.Outcome(fault.From(err).Code())
	}
	return l.Audit.Append(ctx, row)
}
