package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"phonebill/adapters/rest/gateway"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/operations"
	"phonebill/ports"
)

// maintenanceInterval is how often a gateway asks for the maintenance: within a second of the switch all know.
const maintenanceInterval = 500 * time.Millisecond

// followMaintenance adds the worker that asks when customers' operations are switched off. While it gets no answer,
// what it knew last holds, and ends in time by itself.
func followMaintenance(b *service.Builder, at ports.MaintenanceSwitch) gateway.Maintenance {
	var known atomic.Pointer[operations.Maintenance]
	current := func() (m operations.Maintenance) {
		if last := known.Load(); last != nil {
			m = *last
		}
		return m
	}
	b.Worker("maintenance", maintenanceInterval, func(ctx context.Context) (int, error) {
		m, err := at.Current(ctx)
		if err != nil {
			return 0, err
		}
		if was := current(); !m.Over(b.Now()) && (was.From != m.From || was.Until != m.Until || was.Scope != m.Scope) {
			b.Log.WarnContext(ctx, "maintenance", "from", m.From, "until", m.Until, "scope", string(m.Scope), "by", m.By)
		}
		known.Store(&m)
		return 0, nil
	})
	b.DegradedBy(func() (c operations.Causes) {
		if current().On(b.Now()) {
			c = c.With(operations.Maintained)
		}
		return c
	})
	return current
}
