package service

import (
	"context"
	"time"

	"phonebill/core/operations"
)

// readinessTimeout bounds the checks of the status: it is less than the gateway waits for the whole of it, so that an
// instance whose database hangs is shown as not ready and not as silent.
const readinessTimeout = 300 * time.Millisecond

// Status is what every unit says about itself; those that know more add to it.
func (b *Builder) Status(ctx context.Context) operations.Status {
	process := b.process
	process.Uptime = b.Now().Sub(process.Started)
	ctx, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	switch {
	case b.health.Draining():
		process.Readiness = operations.Draining
	case b.health.Failed(ctx) != "":
		process.Readiness = operations.NotReady
	default:
		process.Readiness = operations.Ready
	}
	return operations.Status{Service: b.Unit.Name, Process: process}
}
