// Package verify checks secrets: passwords and one-time codes. Every attempt is reserved before the secret is checked
// and counted by its outcome, so that login, change of password and second factor share one limit (UFR-AUTH-010). The
// work of hashing is shared fairly between addresses. Begin with attempts.go.
package verify

import (
	"context"
	"errors"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Outcome is the result of checking a password.
type Outcome uint8

// The outcomes.
const (
	// not checked, or right while something else is missing: no guess, and nothing is cleared
	Unjudged Outcome = iota
	Wrong            // counts as failed
	Right            // clears the failures
)

// Password checks the password of an account, which must be active. The zero User is an unknown id and costs the
// same work as a wrong password (ADR 16).
func Password(ctx context.Context, c ports.Credentials, user auth.User, password personal.Secret) (Outcome, error) {
	ok, err := c.Check(ctx, user, password)
	switch {
	case err != nil:
		return Unjudged, err
	case !ok:
		return Wrong, fault.New(fault.WrongCredentials)
	case user.Status != auth.Active:
		return Unjudged, fault.New(fault.PermissionDenied)
	}
	return Right, nil
}

// Limiter lets passwords be tried. It is safe for concurrent use.
type Limiter struct {
	Guesses ports.Guesses
	Now     ports.Clock
}

// Try reserves a guess, runs check, and judges. It fails with AUTH_003 without running check while the subject is
// locked, AUTH_002 for the failure that locks, RATE_LIMIT_EXCEEDED when too many others are being judged, else with the
// error of check. A caller that hangs up cannot keep a guess from being judged; one whose judgement cannot be stored
// counts as failed.
func (l *Limiter) Try(ctx context.Context, s auth.Subject, check func() (Outcome, error)) error {
	g, err := l.Guesses.Take(ctx, s, l.Now())
	switch {
	case err != nil:
		return err
	case g.Verdict == auth.GuessRefused:
		return fault.New(fault.Locked)
	}
	outcome, err := check()
	ctx, done := ports.RecordContext(ctx)
	defer done()
	switch outcome {
	case Right:
		return errors.Join(err, l.Guesses.Succeed(ctx, s, g, l.Now()))
	case Wrong:
		last, failed := l.Guesses.Fail(ctx, s, g, l.Now())
		if last {
			return fault.New(fault.LockedNow)
		}
		return errors.Join(failed, err)
	case Unjudged:
	}
	return errors.Join(err, l.Guesses.GiveBack(ctx, s, g))
}

// SubjectOf returns the subject that a guess of the id counts for: the first of the devices that was given to the
// account, else the id itself. The zero account stands for an unknown id.
func SubjectOf(devices ports.Devices, user auth.UserID, account auth.User, cookies []personal.Secret) auth.Subject {
	for _, c := range cookies {
		if device, ok := devices.Read(account, c); ok && account.UserID.Same(user) {
			return auth.Subject{UserID: account.UserID, Device: device}
		}
	}
	return auth.Subject{UserID: user}
}
