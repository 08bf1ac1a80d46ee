package ports

import (
	"context"
	"sync/atomic"

	"phonebill/core/auth"
)

// Allowances are what each customer may spend of the KOS budget, over all instances (quota.Allowance). A store that
// cannot be asked refuses nothing by itself: the calls of this process count then.
type Allowances interface {
	// Check returns RATE_LIMIT_EXCEEDED with a Retry-After, and ErrNotAsked in its chain, when the customer has spent
	// the allowance. It counts nothing, and for a customer that was refused a moment ago it does not read the store.
	Check(ctx context.Context, customer auth.UserID) error
	// Spend counts one call, or returns what Check does and counts none. Of parallel calls no more are counted than
	// allowed.
	Spend(ctx context.Context, customer auth.UserID) error
	// Count counts one call also beyond the allowance: what was accepted is carried out, and paid for later.
	Count(ctx context.Context, customer auth.UserID)
	// GiveBack takes back the newest call counted, which was not made.
	GiveBack(ctx context.Context, customer auth.UserID)
}

// Payer is the customer whose allowance a call of KOS is taken from; the zero Payer is no customer.
type Payer struct {
	Customer auth.UserID
	Accepted bool // what the call is for was accepted: it is counted, and made also beyond the allowance
	Prepaid  *Prepaid
}

// Prepaid are calls that were counted before they are made. It is safe for concurrent use; nil holds none.
type Prepaid struct{ remaining atomic.Int32 }

// Prepay holds that many calls.
func Prepay(calls int32) *Prepaid {
	p := &Prepaid{}
	p.remaining.Store(calls)
	return p
}

// Take takes one call; it returns false when none is left.
func (p *Prepaid) Take() bool {
	if p == nil {
		return false
	}
	if p.remaining.Add(-1) >= 0 {
		return true
	}
	p.remaining.Add(1)
	return false
}

// Return puts one call back, which was not made.
func (p *Prepaid) Return() { p.remaining.Add(1) }
