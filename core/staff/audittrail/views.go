package audittrail

import (
	"context"
	"errors"

	"phonebill/core/audit"
)

// Look does what changes nothing: the one row that tells of it is durable before Look returns, also when it is a refusal. Without the row
// there is an error, and what was seen is not to be shown. refused is as for Do.
func (l Log) Show(ctx context.Context, by By, d Action, refused error, look func(facts map[string]string) error) error {
	facts := map[string]string{}
	for k, v := range d.Facts {
		facts[k] = v
	}
	err := refused
	if err == nil {
		err = look(facts)
	}
	row := audit.Entry{Actor: by.Name, Action: d.Action, Subject: d.Subject, Reason: d.Reason, IP: by.IP}
	return errors.Join(err, l.recordOutcome(ctx, row, facts, err))
}
