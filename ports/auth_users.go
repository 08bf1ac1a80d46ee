package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// Users are the accounts.
type Users interface {
	// ByID returns the account, or USER_NOT_FOUND.
	ByID(ctx context.Context, user auth.UserID) (auth.User, error)
	// ByLogin returns the account that is meant by an id as it was typed: the one of exactly that spelling, else the
	// only one whose id differs from it in case alone, else the only one among those that is not INACTIVE; else
	// USER_NOT_FOUND, at the same cost.
	ByLogin(ctx context.Context, typed auth.UserID) (auth.User, error)
	// Create stores a new account at version 1, epoch 0. It fails with a CONFLICT that names userId when the id is
	// taken in any case, and with LINE_HELD (*auth.HeldLineError) when another account holds one of its lines, also
	// under concurrency.
	Create(ctx context.Context, user auth.User) error
	// Change loads the account under a lock, applies decide (pure, may run twice) and stores the result, with version
	// and epoch as auth.User.Changed says; it returns the stored account. Calls for one account happen one after the
	// other, over all instances. An error of decide is returned and nothing is stored; a decision that changes nothing
	// writes nothing. decide must not change UserID, CreatedAt, LastLoginAt and SecondFactor. Change fails with
	// USER_NOT_FOUND for an unknown account; with CONFLICT (auth.LastAdmin) when no active administrator would be left,
	// also under concurrency; and with LINE_HELD (*auth.HeldLineError) when a line is added that another account holds,
	// also under concurrency.
	Change(ctx context.Context, user auth.UserID, decide func(auth.User) (auth.User, error)) (auth.User, error)
	// RecordLogin stores the time of a successful login. An unknown id is no error.
	RecordLogin(ctx context.Context, user auth.UserID, at time.Time) error
	// Rehash replaces the password hash old by another of the same password. An unknown id, or one whose hash has
	// changed since (the password was changed), is no error and nothing is stored.
	Rehash(ctx context.Context, user auth.UserID, old, hash personal.Secret) error
}

// ServiceKeyList knows the credentials of other systems that call us for their users (ADR 29).
type ServiceKeyList interface {
	// List returns every key that is valid now, and may return retired ones too, newest first.
	List(ctx context.Context) ([]auth.ServiceKey, error)
}

// ServiceKeys are the credentials of other systems that call us for their users. Only hashes are stored.
type ServiceKeys interface {
	// Add stores the key. When its service then has more than two live keys the oldest are retired at the key's
	// CreatedAt, in the same step and under any concurrency. CONFLICT when the hash is taken.
	Add(ctx context.Context, k auth.ServiceKey) error
	// List returns every key, retired ones too, newest first.
	List(ctx context.Context) ([]auth.ServiceKey, error)
	// Retire ends the key; one that is retired stays retired at its first time. NOT_FOUND when there is none.
	Retire(ctx context.Context, hash auth.KeyHash, now time.Time) error
}

// Bindings remember which customer of KOS was seen first for an account that names none. A binding never changes.
type Bindings interface {
	// Bind binds the account to the customer unless it is bound already, and returns whether it is bound to that
	// customer. Of parallel first calls one binds. n is the line that is bound by itself, zero for the account as a
	// whole.
	Bind(ctx context.Context, account auth.UserID, n line.Number, customer string) (same bool, err error)
}
