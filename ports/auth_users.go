package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/personal"
)

// Users are the accounts.
type Users interface {
	// ByID answers the account, or USER_NOT_FOUND.
	ByID(ctx context.Context, user auth.UserID) (auth.User, error)
	// ByLogin answers the account that is meant by an id as it was typed: the one of exactly that spelling, else the only one whose id
	// differs from it in case alone, else the only one among those that is not INACTIVE; else USER_NOT_FOUND, at the same cost.
	ByLogin(ctx context.Context, typed auth.UserID) (auth.User, error)
	// Create stores a new account at version 1, epoch 0; CONFLICT that names userId when the id is taken in any case, LINE_HELD
	// (*auth.HeldLineError) when another account holds one of its lines, whatever others store at the same time.
	Create(ctx context.Context, user auth.User) error
	// Change loads the account under a lock, applies decide (pure, may run twice) and stores what it answers, with version and epoch
	// as auth.User.Changed says. Calls for one account happen one after the other, over all instances. An error of decide is
	// answered and nothing is stored; a decision that changes nothing writes nothing. UserID, CreatedAt, LastLoginAt and SecondFactor
	// are not the decision's to change. USER_NOT_FOUND when there is none. CONFLICT (auth.LastAdmin) when nobody would be left who is
	// an active administrator, whatever others decide at the same time. LINE_HELD (*auth.HeldLineError) when a line is added that another
	// account holds, whatever others store at the same time. The stored account is answered.
	Change(ctx context.Context, user auth.UserID, decide func(auth.User) (auth.User, error)) (auth.User, error)
	// SawLogin records the time of a successful login. An unknown id is no error.
	RecordLogin(ctx context.Context, user auth.UserID, at time.Time) error
	// Rehash replaces the password hash old by another of the same password. An unknown id, or one whose hash is another by now (the
	// password was changed meanwhile), is no error and stays as it is.
	Rehash(ctx context.Context, user auth.UserID, old, hash personal.Secret) error
}
