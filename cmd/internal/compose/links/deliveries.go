package links

import (
	"time"

	"phonebill/adapters/mvnoap"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/delivery/dispatch"
	"phonebill/ports"
)

// Delivery to the MVNO AP server: one attempt may take 10 s (S-DELIVERY-TIMEOUT), so a line is leased for longer.
// Several loops work on one outbox, so that lines whose receiver is slow do not hold up the others for long; together
// they open at most apLoops x apLines connections.
const (
	apTimeout = 10 * time.Second
	apLease   = 30 * time.Second
	apLoops   = 4
	apLines   = 16
	apEach    = 100
)

// openAP wires the link to the MVNO AP server.
func openAP(b *service.Builder, c AP) (*mvnoap.Client, error) {
	secrets, err := openAPSecrets(b, c)
	if err != nil {
		return nil, err
	}
	return mvnoap.New(
		mvnoap.Config{URL: c.URL, Secrets: secrets, Timeout: apTimeout, Breaker: c.Breaker, Rate: c.Rate},
		mvnoap.Deps{Now: b.Now, Log: b.Log, Alerts: b.Alerts, Metrics: b.Registry})
}

// openAPSecrets returns what results are signed with.
func openAPSecrets(b *service.Builder, c AP) (*mvnoap.Secrets, error) {
	if c.SecretFile != "" {
		return mvnoap.OpenSecrets(c.SecretFile, b.Now, b.Log)
	}
	return mvnoap.FixedSecrets(c.Secret, c.Next)
}

// Deliver adds the workers that empty one outbox.
func Deliver[T any](b *service.Builder, name string, outbox ports.Outbox[T], publisher ports.Publisher[T]) {
	d := &dispatch.Service[T]{
		Outbox: outbox, Publisher: publisher, Now: b.Now, Random: b.Random, Alerts: b.Alerts,
		Lease: apLease, Attempt: apTimeout, Lines: apLines, EventsPerLine: apEach,
	}
	b.Workers(apLoops, name, service.IdleInterval, d.Step)
}
