package memory

import (
	"context"
	"sync"

	"phonebill/core/operations"
)

// Alerts implements ports.Alerts: it remembers.
type Alerts struct {
	mu     sync.Mutex
	raised []operations.Alert
}

// Raise remembers the alert.
func (a *Alerts) Raise(_ context.Context, raised operations.Alert) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.raised = append(a.raised, raised)
}

// Raised returns a copy of all alerts, oldest first.
func (a *Alerts) Raised() []operations.Alert {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]operations.Alert(nil), a.raised...)
}
