package compose

import (
	"time"

	"phonebill/adapters/mvnoap"
	"phonebill/core/delivery/dispatch"
	"phonebill/core/personal"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

// Delivery to the MVNO AP server: one attempt may take 10 s (S-DELIVERY-TIMEOUT), so a line is leased for longer. Several
// loops work on one outbox, so that lines whose receiver is slow do not hold up the others for long; together they open at
// most apLoops x apLines connections.
const (
	apTimeout = 10 * time.Second
	apLease   = 30 * time.Second
	apLoops   = 4
	apLines   = 16
	apEach    = 100
)

// deliver adds the workers that empty one outbox.
func deliver[T any](p *parts, name string, outbox ports.Outbox[T], publisher ports.Publisher[T]) {
	d := &dispatch.Service[T]{
		Outbox: outbox, Publisher: publisher, Now: p.Now, Random: p.Random, Alerts: p.alerts, Lease: apLease, Attempt: apTimeout,
		Lines: apLines, Each: apEach,
	}
	p.workers(apLoops, name, idle, d.Step)
}

// apSecrets are what results are signed with.
func (p *parts) apSecrets(a AP) (*mvnoap.Secrets, error) {
	if a.SecretFile != "" {
		return mvnoap.OpenSecrets(a.SecretFile, p.Now, p.Log)
	}
	return mvnoap.FixedSecrets(a.Secret, a.Next)
}

// Desk wires where staff look at deliveries and have one told again.
func Desk(i Instances, token personal.Secret, log ports.AuditLog, report ports.Report, t Tools) (*cases.Deliveries, error) {
	link, err := linkTo(i, token)
	if err != nil {
		return nil, err
	}
	return &cases.Deliveries{
		Bills: link.Deliveries(billService), Changes: link.Deliveries(productService), Audit: log, Report: report, Now: t.Now, NewID: t.NewID,
	}, nil
}
