package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/personal"
)

// Guesses counts password attempts per submitted id, known or not (decision 4).
type Guesses interface {
	// Take applies auth.LockoutPolicy.Take to the stored state in one atomic step and commits it, whatever becomes of the
	// login afterwards: of many parallel calls exactly as many are allowed as the policy says.
	Take(ctx context.Context, user auth.UserID, now time.Time) (auth.Guess, error)
	// GiveBack applies auth.LockoutPolicy.GiveBack in one atomic step.
	GiveBack(ctx context.Context, user auth.UserID) error
	// Clear forgets the failures and the lock.
	Clear(ctx context.Context, user auth.UserID) error
	// Peek answers the stored state without changing it; the zero Attempts for an id never seen.
	Peek(ctx context.Context, user auth.UserID) (auth.Attempts, error)
}

// PasswordHasher hashes and compares passwords. It bounds how many hashes run at a time; when the queue does not move
// before ctx's deadline or its own, it answers SERVICE_UNAVAILABLE with a Retry-After.
type PasswordHasher interface {
	// Hash answers a self-describing hash (parameters and salt inside).
	Hash(ctx context.Context, password personal.Secret) (personal.Secret, error)
	// Matches compares in constant time. The zero hash never matches and costs the same work (decision 4). stale tells that
	// the hash was made with other parameters than today's.
	Matches(ctx context.Context, hash, password personal.Secret) (ok, stale bool, err error)
}

// LoginHistory is append-only (decision 18).
type LoginHistory interface {
	// Append stores one event durably. The user id of an unknown account is stored as a keyed hash only.
	Append(ctx context.Context, e auth.LoginEvent) error
}
