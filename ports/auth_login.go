package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/throttle"
)

// Guesses counts password attempts per subject: an id, known or not, or one device of it. Ids that differ in case are
// two subjects: the caller resolves what was typed, see auth.Subject.
type Guesses interface {
	// Take applies auth.LockoutPolicy.Take to the stored state in one atomic step that is committed whatever the
	// outcome of the login is. While the policy says busy it waits for its turn, up to GuessWait or ctx's end, and then
	// fails with RATE_LIMIT_EXCEEDED with a Retry-After (SERVICE_UNAVAILABLE when ctx ended in the middle of a query),
	// which is no guess. The verdict is allowed or refused, never busy. now is the time of the call.
	Take(ctx context.Context, s auth.Subject, now time.Time) (auth.Guess, error)
	// Fail applies auth.LockoutPolicy.Fail in one atomic step.
	Fail(ctx context.Context, s auth.Subject, g auth.Guess, now time.Time) (last bool, err error)
	// Succeed applies auth.LockoutPolicy.Succeed in one atomic step.
	Succeed(ctx context.Context, s auth.Subject, g auth.Guess, now time.Time) error
	// GiveBack applies auth.LockoutPolicy.GiveBack in one atomic step.
	GiveBack(ctx context.Context, s auth.Subject, g auth.Guess) error
	// Clear applies auth.LockoutPolicy.Clear to the counter of the id and to those of all its devices.
	Clear(ctx context.Context, user auth.UserID) error
	// Peek returns the stored state without changing it; the zero Attempts for an unknown subject.
	Peek(ctx context.Context, s auth.Subject) (auth.Attempts, error)
	// Sweep deletes up to most subjects without an attempt since before that are not locked at now, and returns how
	// many.
	Sweep(ctx context.Context, before, now time.Time, most int) (int, error)
}

// GuessWait is how long a guess waits while all remaining ones are being judged; less than a request may take.
const GuessWait = 2 * time.Second

// Credentials checks a user's proof of identity. The password check of login is behind it, so that another provider
// (OIDC) fits later.
type Credentials interface {
	// Check reports whether the password is that of the account, given as stored. The zero User, which stands for an
	// unknown id, never matches and costs the same work (ADR 16). It fails with SERVICE_UNAVAILABLE and a Retry-After
	// when it is too busy.
	Check(ctx context.Context, account auth.User, password personal.Secret) (bool, error)
}

// Devices makes and reads the cookie by which a device is known again (ADR 16; OWASP: device cookies).
type Devices interface {
	// Mint returns the cookie of the account's device. Its tag is the same for all devices of one user and does not
	// disclose the user.
	Mint(account auth.User, device id.ID) auth.DeviceCookie
	// Read returns the device that the value was minted for, and false for anything that Mint did not make for this
	// account as it is: with another password hash all its cookies are void, so that a former password gives no way to
	// keep guessing by them.
	Read(account auth.User, value personal.Secret) (id.ID, bool)
	// Names reports whether the value names the user, without reading the account: it proves nothing, and Read is false
	// for every value for which Names is.
	Names(user auth.UserID, value personal.Secret) bool
}

// Throttle limits calls per caller. It never fails: without its store it goes on counting in memory.
type Throttle interface {
	// Take takes one call from the caller's bucket under the rate, or returns false and when there will be one. Of
	// parallel calls, over all instances, no more pass than the rate allows. key is kept as a keyed hash only.
	Take(ctx context.Context, key string, rate throttle.Rate, now time.Time) (ok bool, retryIn time.Duration)
}

// PasswordHasher hashes and compares passwords. It bounds how many hashes run at a time; when the queue does not move
// before ctx's deadline or its own, it fails with SERVICE_UNAVAILABLE and a Retry-After.
type PasswordHasher interface {
	// Hash returns a self-describing hash (parameters and salt inside). Two spellings of one text in Unicode (RFC 8265:
	// NFC) are one password.
	Hash(ctx context.Context, password personal.Secret) (personal.Secret, error)
	// Matches compares in constant time. The zero hash never matches and costs the same work (ADR 16). stale reports
	// that the hash was made with other parameters than the current ones.
	Matches(ctx context.Context, hash, password personal.Secret) (ok, stale bool, err error)
}

// LoginHistory is append-only (ADR 26).
type LoginHistory interface {
	// Append stores one event durably. The user id of an unknown account is stored as a keyed hash only.
	Append(ctx context.Context, e auth.LoginEvent) error
}
