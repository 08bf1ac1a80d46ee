package memory_test

import (
	"testing"

	"phonebill/adapters/memory"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestAlerts(t *testing.T) {
	t.Parallel()
	portstest.Alerts(t, func(*testing.T) (ports.Alerts, func(operations.AlertKind) int) {
		alerts := &memory.Alerts{}
		return alerts, func(kind operations.AlertKind) (n int) {
			for _, a := range alerts.Raised() {
				if a.Kind == kind {
					n++
				}
			}
			return n
		}
	})
}

func TestPublisher(t *testing.T) {
	t.Parallel()
	portstest.Publisher(t, func(*testing.T) (ports.Publisher[ports.ChangeResult], func() []id.ID) {
		p := &memory.Publisher[ports.ChangeResult]{}
		return p, func() (out []id.ID) {
			for _, i := range p.Published() {
				out = append(out, i.ID)
			}
			return out
		}
	})
}
