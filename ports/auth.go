package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
)

// Users are the accounts.
type Users interface {
	// ByID answers the account, or USER_NOT_FOUND.
	ByID(ctx context.Context, user auth.UserID) (auth.User, error)
	// Put creates the account or replaces what an earlier Put stored, password hash and lines included.
	Put(ctx context.Context, user auth.User) error
	// SawLogin records the time of a successful login. An unknown id is no error.
	SawLogin(ctx context.Context, user auth.UserID, at time.Time) error
	// Rehash replaces the password hash. An unknown id is no error.
	Rehash(ctx context.Context, user auth.UserID, hash personal.Secret) error
}

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

// Sessions are the logins that live (decision 1).
type Sessions interface {
	// Create stores a new session.
	Create(ctx context.Context, s auth.Session) error
	// Get answers the session, or NOT_FOUND. It may be a copy some seconds old, but never one from before a change made
	// through this same Sessions.
	Get(ctx context.Context, sid id.ID) (auth.Session, error)
	// Change loads the session under a lock, applies decide (pure, may run twice) and stores what it answers. Calls for one
	// session happen one after the other, over all instances. NOT_FOUND when there is none. The stored session is answered.
	Change(ctx context.Context, sid id.ID, decide func(auth.Session) auth.Session) (auth.Session, error)
}

// RevocationFeed tells which sessions ended (decision 2).
type RevocationFeed interface {
	// Since answers every session revoked at or after t, in any order.
	Since(ctx context.Context, t time.Time) ([]auth.Revocation, error)
}

// SessionUse is told which sessions are in use (decision 2).
type SessionUse interface {
	// Used keeps the sessions from going idle. One that is over, idle already or unknown is no error and is not brought back.
	Used(ctx context.Context, sids []id.ID) error
}

// LoginHistory is append-only (decision 18).
type LoginHistory interface {
	// Append stores one event durably. The user id of an unknown account is stored as a keyed hash only.
	Append(ctx context.Context, e auth.LoginEvent) error
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

// SigningKeys are the issuer's key pairs.
type SigningKeys interface {
	// List answers all keys, newest first.
	List(ctx context.Context) ([]auth.SigningKey, error)
	// AddFirst stores the key unless there is any; of many parallel calls one wins.
	AddFirst(ctx context.Context, k auth.SigningKey) error
}

// AccessTokens issues access tokens.
type AccessTokens interface {
	// Issue answers a signed JWT for the principal, good from now until p.ExpiresAt.
	Issue(ctx context.Context, p auth.Principal, now time.Time) (personal.Secret, error)
}

// AccessVerifier checks access tokens offline.
type AccessVerifier interface {
	// Verify answers who the token speaks for, or TOKEN_EXPIRED or TOKEN_INVALID. It does not know revocations.
	Verify(ctx context.Context, token string, now time.Time) (auth.Principal, error)
}

// RefreshTokens makes and reads refresh tokens. A token is derived from a key, sid and generation, so that the same one can
// be made again without being stored (decision 3).
type RefreshTokens interface {
	// Make answers the one token of that session and generation.
	Make(sid id.ID, generation int) personal.Secret
	// Read answers what Make was given, or REFRESH_TOKEN_INVALID for anything Make did not make.
	Read(token personal.Secret) (sid id.ID, generation int, err error)
}
