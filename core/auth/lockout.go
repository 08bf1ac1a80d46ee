package auth

import (
	"time"

	"phonebill/core/id"
)

// LockoutPolicy is the rule of UFR-AUTH-010: Failures in a row lock a subject for LockFor. A guess that is not judged
// within Judging of the last one taken counts as failed: its process died, and no count may be lost.
type LockoutPolicy struct {
	Failures int
	LockFor  time.Duration
	Judging  time.Duration
}

// DefaultLockout is 5 failures, 30 minutes; 15 s is longer than any login takes.
func DefaultLockout() LockoutPolicy {
	return LockoutPolicy{Failures: 5, LockFor: 30 * time.Minute, Judging: 15 * time.Second}
}

// Subject is what guesses are counted for: an account, an id without an account, or one device that has logged in with
// it before. A stranger who guesses without the device uses up the id's own counter and never the device's (ADR 16).
type Subject struct {
	UserID UserID // of the account, as it is spelled; the folded submitted id where that means no account
	Device id.ID  // zero: the counter of the id itself
}

// Attempts is the state of one subject; the zero value has no failure. Failures and Pending together are never more
// than the policy's Failures: each stands for one check of a password since the last success.
type Attempts struct {
	Failures     int
	Pending      int       // taken and not judged yet
	Round        int       // counts how often pending guesses lapsed, so that a late judgement is known for what it is
	PendingUntil time.Time // when those pending lapse; zero when none is
	LockedUntil  time.Time
}

// Locked reports whether the subject is locked at now.
func (a Attempts) Locked(now time.Time) bool { return now.Before(a.LockedUntil) }

// Verdict is what comes of asking for a guess.
type Verdict uint8

// The verdicts.
const (
	GuessRefused Verdict = iota // locked: the password is not checked
	GuessBusy                   // all remaining guesses are being judged: ask again soon
	GuessAllowed                // check the password, then judge
)

// Guess is the result of Take. A caller that was allowed one must judge it: Fail, Succeed or GiveBack.
type Guess struct {
	Verdict Verdict
	Round   int
}

// Take reserves one guess BEFORE the password is checked. Many parallel guesses can never add up to more checks than
// Failures, and the right password among them locks no owner out, since only judged guesses count as failed.
func (p LockoutPolicy) Take(a Attempts, now time.Time) (Attempts, Guess) {
	a = p.at(a, now)
	switch {
	case a.Locked(now):
		return a, Guess{Verdict: GuessRefused}
	case a.Failures+a.Pending >= p.Failures:
		return a, Guess{Verdict: GuessBusy}
	}
	a.Pending++
	a.PendingUntil = now.Add(p.Judging)
	return a, Guess{Verdict: GuessAllowed, Round: a.Round}
}

// at returns the state after the time that has passed: pending guesses lapse into failures, which may lock, and a lock
// expires.
func (p LockoutPolicy) at(a Attempts, now time.Time) Attempts {
	if a.Pending > 0 && !now.Before(a.PendingUntil) {
		lapsed := a.PendingUntil
		a = Attempts{Failures: a.Failures + a.Pending, Round: a.Round + 1, LockedUntil: a.LockedUntil}
		if a.Failures >= p.Failures {
			a.LockedUntil = lapsed.Add(p.LockFor)
		}
	}
	if !a.LockedUntil.IsZero() && !a.Locked(now) {
		a = Attempts{Round: a.Round}
	}
	return a
}

// Fail judges a guess as wrong. last reports that it was the failure that locks (AUTH_002). A guess that lapsed before
// is counted already.
func (p LockoutPolicy) Fail(a Attempts, g Guess, now time.Time) (after Attempts, last bool) {
	if !a.holds(g) {
		return a, false
	}
	a = a.judged()
	a.Failures++
	if a.Failures < p.Failures {
		return a, false
	}
	a.LockedUntil = now.Add(p.LockFor)
	return a, true
}

// Succeed judges a guess as right: a new row of failures begins. Guesses of others that are pending stay so.
func (p LockoutPolicy) Succeed(a Attempts, g Guess) Attempts {
	if a.holds(g) {
		a = a.judged()
	}
	a.Failures, a.LockedUntil = 0, time.Time{}
	return a
}

// GiveBack takes back a guess whose password was never checked (the hasher was too busy, the store failed), or was
// right while something else is missing: neither locks an owner out, and neither clears the failures of others.
func (p LockoutPolicy) GiveBack(a Attempts, g Guess) Attempts {
	if a.holds(g) {
		a = a.judged()
	}
	return a
}

// Clear forgets failures and lock, as an operator's unlock does. Pending guesses still count when they fail.
func (p LockoutPolicy) Clear(a Attempts) Attempts {
	a.Failures, a.LockedUntil = 0, time.Time{}
	return a
}

// holds reports whether the guess is among those pending.
func (a Attempts) holds(g Guess) bool { return a.Pending > 0 && a.Round == g.Round }

func (a Attempts) judged() Attempts {
	a.Pending--
	if a.Pending == 0 {
		a.PendingUntil = time.Time{}
	}
	return a
}
