package upstream

// Repeatable reports whether a request that failed may be sent to another instance. Reading may always be repeated;
// anything else only when it certainly did not reach the service, whatever its idempotency key says: the key is the
// client's means, and a request that reached nobody needs none.
func Repeatable(reads, mayHaveLeft bool) bool { return reads || !mayHaveLeft }

// Budget bounds repeated requests (S-UPSTREAM-RETRY): each request earns a part of a repetition.
type Budget struct {
	Percent int64 // repetitions per 100 requests
	Reserve int64 // repetitions that may be made before anything was earned
	Most    int64 // repetitions that can be saved up
}

// DefaultBudget returns the budget of one service.
func DefaultBudget() Budget { return Budget{Percent: 10, Reserve: 50, Most: 100} }

// Savings are repetitions in hundredths.
type Savings int64

const whole = 100

// Begin returns the savings at the start.
func (b Budget) Begin() Savings { return Savings(b.Reserve * whole) }

// Earn returns the savings after one more request.
func (b Budget) Earn(s Savings) Savings { return min(s+Savings(b.Percent), Savings(b.Most*whole)) }

// Spend returns the savings after one repetition; ok is false when they do not suffice for one.
func (b Budget) Spend(s Savings) (left Savings, ok bool) {
	if s < whole {
		return s, false
	}
	return s - whole, true
}
