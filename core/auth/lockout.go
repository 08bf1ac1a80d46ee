package auth

import "time"

// LockoutPolicy is the rule of UFR-AUTH-010: Failures in a row lock an id for LockFor.
type LockoutPolicy struct {
	Failures int
	LockFor  time.Duration
}

// DefaultLockout is 5 failures, 30 minutes.
func DefaultLockout() LockoutPolicy { return LockoutPolicy{Failures: 5, LockFor: 30 * time.Minute} }

// Attempts is the state of one submitted id, known or not (decision 4). The zero value is a clean slate.
type Attempts struct {
	Failures    int
	LockedUntil time.Time
}

// Locked tells whether the id is locked at now.
func (a Attempts) Locked(now time.Time) bool { return now.Before(a.LockedUntil) }

// Guess is the leave to try one password.
type Guess uint8

// The guesses.
const (
	GuessRefused Guess = iota // locked: the password is not looked at
	GuessAllowed              // try; failing is AUTH_001
	GuessLast                 // try; failing is AUTH_002, the id is locked already
)

// Take takes one guess BEFORE the password is looked at, counting it as failed until success clears the counter.
// The last guess locks at once. So many parallel guesses can never add up to more than Failures.
func (p LockoutPolicy) Take(a Attempts, now time.Time) (Attempts, Guess) {
	if a.Locked(now) {
		return a, GuessRefused
	}
	if !a.LockedUntil.IsZero() { // the lock has expired: a new row of failures begins
		a = Attempts{}
	}
	a.Failures++
	if a.Failures < p.Failures {
		return a, GuessAllowed
	}
	a.LockedUntil = now.Add(p.LockFor)
	return a, GuessLast
}

// GiveBack takes one guess back whose password was never looked at (the hasher was too busy, the store in trouble), together with
// the lock it may have set: overload must not lock an owner out.
func (p LockoutPolicy) GiveBack(a Attempts) Attempts {
	return Attempts{Failures: max(0, a.Failures-1)}
}
