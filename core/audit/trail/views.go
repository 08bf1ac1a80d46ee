package trail

import (
	"context"
	"errors"

	"phonebill/core/audit"
)

// Show runs read, which changes nothing: its one row is durable before Show returns, also for a refusal. Without the
// row Show returns an error, and what was read must not be shown. refused is as for Do.
func (l Log) Show(ctx context.Context, by By, d Action, refused error, read func(facts map[string]string) error) error {
	facts := map[string]string{}
	for k, v := range d.Facts {
		facts[k] = v
	}
	err := refused
	if err == nil {
		err = read(facts)
	}
	row := audit.Entry{Actor: by.Name, Action: d.Action, Subject: d.Subject, Reason: d.Reason, IP: by.IP}
	return errors.Join(err, l.recordOutcome(ctx, row, facts, err))
}
