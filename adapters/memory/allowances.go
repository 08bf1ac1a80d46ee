package memory

import (
	"context"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Allowances implements ports.Allowances for one process.
type Allowances struct {
	allowed quota.Allowance
	now     ports.Clock

	mu    sync.Mutex
	calls map[auth.UserID][]time.Time
}

// NewAllowances returns allowances of which nothing is spent.
func NewAllowances(allowed quota.Allowance, now ports.Clock) *Allowances {
	return &Allowances{allowed: allowed, now: now, calls: map[auth.UserID][]time.Time{}}
}

// Check reports whether the allowance is spent.
func (a *Allowances) Check(_ context.Context, customer auth.UserID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.check(customer)
}

func (a *Allowances) check(customer auth.UserID) error {
	if ok, wait := a.allowed.Admit(a.calls[customer], a.now()); !ok {
		return fault.New(fault.RateLimitExceeded).RetryIn(wait).Because(ports.ErrNotAsked)
	}
	return nil
}

// Spend counts if it may.
func (a *Allowances) Spend(_ context.Context, customer auth.UserID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.check(customer)
	if err == nil {
		a.count(customer)
	}
	return err
}

// Count counts.
func (a *Allowances) Count(_ context.Context, customer auth.UserID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count(customer)
}

func (a *Allowances) count(customer auth.UserID) {
	a.calls[customer] = a.allowed.Count(a.calls[customer], a.now())
}

// GiveBack takes the newest call back.
func (a *Allowances) GiveBack(_ context.Context, customer auth.UserID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls[customer] = quota.GiveBack(a.calls[customer])
}
