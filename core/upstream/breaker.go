package upstream

import "time"

// BreakerPolicy is when a service is not asked any more (S-UPSTREAM-BREAKER).
type BreakerPolicy struct {
	Failures int           // requests in a row that no instance answered
	Open     time.Duration // between two trials while the breaker is open
}

// DefaultBreaker returns the policy of phonebill.
func DefaultBreaker() BreakerPolicy { return BreakerPolicy{Failures: 5, Open: time.Second} }

// Breaker is the circuit breaker of one service: while no instance can answer, callers are refused at once, except one
// trial in each period. It is a value: the methods return a changed copy.
type Breaker struct {
	failures int       // in a row
	until    time.Time // when the next trial may be made; zero: closed
}

// Allow reports whether a request may be made. If not, retryIn is how long it will be until the next trial. The request
// that is let through while the breaker is open is the trial of its period: a trial whose outcome is never reported
// holds nothing up.
func (b Breaker) Allow(p BreakerPolicy, now time.Time) (after Breaker, ok bool, retryIn time.Duration) {
	if b.until.IsZero() {
		return b, true, 0
	}
	if wait := b.until.Sub(now); wait > 0 {
		return b, false, wait
	}
	b.until = now.Add(p.Open)
	return b, true, 0
}

// Failed returns the breaker after a request that no instance answered.
func (b Breaker) Failed(p BreakerPolicy, now time.Time) Breaker {
	b.failures++
	if b.failures >= p.Failures && b.until.IsZero() {
		b.until = now.Add(p.Open)
	}
	return b
}

// Answered returns the breaker after a request that was answered: it is closed.
func (b Breaker) Answered() Breaker { return Breaker{} }

// Quiet reports whether the breaker is closed and the last request was answered, so that Allow and Answered would
// change nothing.
func (b Breaker) Quiet() bool { return b == Breaker{} }

// Open reports whether the breaker is open.
func (b Breaker) Open() bool { return !b.until.IsZero() }

// Failures returns how many requests in a row no instance answered.
func (b Breaker) Failures() int { return b.failures }

// RetryAt returns when the next trial may be made; zero while the breaker is closed.
func (b Breaker) RetryAt() time.Time { return b.until }
