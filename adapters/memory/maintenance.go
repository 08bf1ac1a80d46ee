package memory

import (
	"context"
	"sync"

	"phonebill/core/operations"
	"phonebill/ports"
)

// Maintenance implements ports.MaintenanceSwitch. The zero value has none.
type Maintenance struct {
	mu      sync.Mutex
	current operations.Maintenance
}

var _ ports.MaintenanceSwitch = (*Maintenance)(nil)

// Current returns what was set last.
func (s *Maintenance) Current(ctx context.Context) (operations.Maintenance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, ctx.Err()
}

// Set replaces it.
func (s *Maintenance) Set(ctx context.Context, m operations.Maintenance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.current = m
	return nil
}
