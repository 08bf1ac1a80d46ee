package compose

import (
	"context"
	"time"

	"phonebill/adapters/logsink"
	"phonebill/adapters/postgres"
	"phonebill/core/personal"
	"phonebill/core/product/change"
	"phonebill/core/staff/audittrail"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

// Telling customers: one attempt may take 5 s; who dies has his notices told by another one after the lease.
const (
	noticeAttempt = 5 * time.Second
	noticeLease   = 30 * time.Second
	noticesAtOnce = 16
)

// tellCustomers adds the worker that tells customers how their changes ended.
func (p *parts) tellCustomers(at stores) {
	s := &change.Notifications{
		Notices: postgres.NewNotices(at.pool, at.keyring), Notifier: logsink.NewNotifier(p.Log), Now: p.Now, Random: p.Random,
		Lease: noticeLease, Attempt: noticeAttempt,
	}
	p.worker("customer-notices", idle, func(ctx context.Context) (int, error) { return s.Step(ctx, noticesAtOnce) })
}

// ParkedDesk wires where staff decide on parked orders.
func ParkedDesk(i Instances, token personal.Secret, log ports.AuditLog, report ports.Report, t Tools) (*cases.ParkedChanges, error) {
	link, err := linkTo(i, token)
	if err != nil {
		return nil, err
	}
	return &cases.ParkedChanges{
		Changes: link.ParkedChanges(productService), Log: audittrail.Log{Audit: log, Report: report, Now: t.Now, NewID: t.NewID},
	}, nil
}
