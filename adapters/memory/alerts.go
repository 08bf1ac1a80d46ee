package memory

import (
	"context"
	"sync"

	"phonebill/core/alert"
)

// Alerts implements ports.Alerts: it remembers.
type Alerts struct {
	mu     sync.Mutex
	raised []alert.Alert
}

// Raise remembers the alert.
func (a *Alerts) Raise(_ context.Context, raised alert.Alert) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.raised = append(a.raised, raised)
}

// Raised returns a copy of all alerts, oldest first.
func (a *Alerts) Raised() []alert.Alert {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]alert.Alert(nil), a.raised...)
}
