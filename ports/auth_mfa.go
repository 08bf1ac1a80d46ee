package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/personal"
)

// SecondFactors are the accounts' TOTPs and recovery codes. The account must exist.
type SecondFactors interface {
	// Get returns the account's TOTP, confirmed or not, or NOT_FOUND.
	Get(ctx context.Context, user auth.UserID) (auth.TOTP, error)
	// Begin stores an unconfirmed TOTP in place of another unconfirmed one; CONFLICT when a confirmed one is there.
	Begin(ctx context.Context, user auth.UserID, t auth.TOTP) error
	// BeginNext stores a TOTP that is to replace the confirmed one, in place of another such; the confirmed one is
	// valid until then. CONFLICT when none is confirmed.
	BeginNext(ctx context.Context, user auth.UserID, t auth.TOTP) error
	// Confirm makes the TOTP valid that was begun with this secret (auth.TOTP.Begun), as of t.ConfirmedAt and
	// t.LastStep, and stores the recovery codes as keyed hashes, in one step; an older TOTP and its codes are deleted.
	// CONFLICT when another one was begun since, or none, or it is valid already.
	Confirm(ctx context.Context, user auth.UserID, t auth.TOTP, codes []personal.Secret) error
	// Accept takes the code of a time step: true once per step and never for one before, under any concurrency.
	Accept(ctx context.Context, user auth.UserID, step int64) (bool, error)
	// UseRecoveryCode is true once per code, under any concurrency.
	UseRecoveryCode(ctx context.Context, user auth.UserID, code personal.Secret, at time.Time) (bool, error)
	// Replace puts a TOTP that counts at once, and its recovery codes, in place of whatever was there.
	Replace(ctx context.Context, user auth.UserID, t auth.TOTP, codes []personal.Secret) error
	// Remove deletes the TOTP and all recovery codes; none is no error. CONFLICT for staff, who must have one: this and
	// ports.Users.Change exclude each other, so that no account becomes staff while its factor is removed.
	Remove(ctx context.Context, user auth.UserID) error
}

// OneTimeCodes makes secrets and reads codes; it holds no state.
type OneTimeCodes interface {
	// NewSecret returns a fresh random secret in base32.
	NewSecret() personal.Secret
	// URI is the otpauth URI that an authenticator app scans. It holds the secret.
	URI(user auth.UserID, secret personal.Secret) personal.Secret
	// Step returns the time step for which code is right, at most one step (30 s) away from now; ok is false for a
	// wrong code.
	Step(secret, code personal.Secret, now time.Time) (step int64, ok bool)
	// NewRecoveryCodes returns auth.RecoveryCodes fresh random codes of 50 bits like abcde-fgh23.
	NewRecoveryCodes() []personal.Secret
}
