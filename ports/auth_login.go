package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/throttle"
)

// Guesses counts password attempts per subject: an id, known or not, or one device of it. Ids that differ in case are two subjects: the
// caller resolves what was typed, see auth.Subject.
type Guesses interface {
	// Take applies auth.LockoutPolicy.Take to the stored state in one atomic step that is committed whatever becomes of the login
	// afterwards. While the policy says busy it waits for its turn, up to GuessPatience or ctx's end, and then answers
	// RATE_LIMIT_EXCEEDED with a Retry-After (SERVICE_UNAVAILABLE when ctx ended in the middle of a look), which is no guess. The
	// verdict is allowed or refused, never busy. now is when it was called.
	Take(ctx context.Context, s auth.Subject, now time.Time) (auth.Guess, error)
	// Fail applies auth.LockoutPolicy.Fail in one atomic step.
	Fail(ctx context.Context, s auth.Subject, g auth.Guess, now time.Time) (last bool, err error)
	// Succeed applies auth.LockoutPolicy.Succeed in one atomic step.
	Succeed(ctx context.Context, s auth.Subject, g auth.Guess, now time.Time) error
	// GiveBack applies auth.LockoutPolicy.GiveBack in one atomic step.
	GiveBack(ctx context.Context, s auth.Subject, g auth.Guess) error
	// Clear applies auth.LockoutPolicy.Clear to the counter of the id and to those of all its devices.
	Clear(ctx context.Context, user auth.UserID) error
	// Peek answers the stored state without changing it; the zero Attempts for a subject never seen.
	Peek(ctx context.Context, s auth.Subject) (auth.Attempts, error)
	// Sweep forgets up to most subjects that nobody tried since before and that are not locked at now, and answers how many.
	Sweep(ctx context.Context, before, now time.Time, most int) (int, error)
}

// GuessPatience is how long a guess waits while all that are left are being judged; less than a request may take.
const GuessWait = 2 * time.Second

// Credentials checks what a user proves himself with. The password check of login sits behind it, so that another provider (OIDC)
// fits later.
type Credentials interface {
	// Check tells whether the password is that of the account, given as stored. The zero User, which stands for an unknown id, never
	// matches and costs the same work (ADR 16). It answers SERVICE_UNAVAILABLE with a Retry-After when it is too busy.
	Check(ctx context.Context, account auth.User, password personal.Secret) (bool, error)
}

// Devices makes and reads the cookie by which a device is known again (ADR 16; OWASP: device cookies).
type Devices interface {
	// Mint answers the cookie of the account's device. Its tag is the same for all devices of one user and tells nobody who that is.
	Mint(account auth.User, device id.ID) auth.DeviceCookie
	// Read answers the device that the value was minted for, and false for anything that Mint did not make for this account as it is:
	// with another password hash all its cookies are void, so that nobody who once knew the password can keep guessing by them.
	Read(account auth.User, value personal.Secret) (id.ID, bool)
	// Names tells whether the value names the user, without a look at the account: it proves nothing, and Read is false for every value
	// for which Names is.
	Names(user auth.UserID, value personal.Secret) bool
}

// Throttle limits calls per caller. It never fails: without its store it goes on counting in memory.
type Throttle interface {
	// Take takes one call from the caller's bucket under the rate, or answers false and when there will be one. Of parallel calls,
	// over all instances, no more pass than the rate allows. key is kept as a keyed hash only.
	Take(ctx context.Context, key string, rate throttle.Rate, now time.Time) (ok bool, retryIn time.Duration)
}

// PasswordHasher hashes and compares passwords. It bounds how many hashes run at a time; when the queue does not move
// before ctx's deadline or its own, it answers SERVICE_UNAVAILABLE with a Retry-After.
type PasswordHasher interface {
	// Hash answers a self-describing hash (parameters and salt inside). Two spellings of one text in Unicode (RFC 8265: NFC) are
	// one password.
	Hash(ctx context.Context, password personal.Secret) (personal.Secret, error)
	// Matches compares in constant time. The zero hash never matches and costs the same work (ADR 16). stale tells that
	// the hash was made with other parameters than today's.
	Matches(ctx context.Context, hash, password personal.Secret) (ok, stale bool, err error)
}

// LoginHistory is append-only (ADR 26).
type LoginHistory interface {
	// Append stores one event durably. The user id of an unknown account is stored as a keyed hash only.
	Append(ctx context.Context, e auth.LoginEvent) error
}
