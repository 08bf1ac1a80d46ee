package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
)

// Accounts is how staff look at many accounts.
type Accounts interface {
	// Search answers one page of the accounts that match all of the filter, by user id, and how many match, counted no further than
	// auth.MostCounted. The number of questions to the store does not depend on what is found.
	Search(ctx context.Context, f auth.AccountFilter) ([]auth.Account, int, error)
}

// AccountIntake takes accounts in bulk.
type AccountIntake interface {
	// Known answers which of the ids are taken, and since when.
	Known(ctx context.Context, users []auth.UserID) (map[auth.UserID]time.Time, error)
	// AddAll stores the new accounts as Users.Create does, all or none, but leaves out those whose id is taken; it answers how many
	// were stored. No id may come twice.
	AddAll(ctx context.Context, users []auth.User) (int, error)
}

// LoginRecords is how the login history is read.
type LoginRecords interface {
	// Page answers one page of the events of a submitted user id, newest first, and how many there are, counted no further than
	// auth.MostCounted. Events from before the account was made are among them: they are about its id. Pages count from 1.
	Page(ctx context.Context, user auth.UserID, page, size int) ([]auth.LoginEvent, int, error)
	// CountSince returns how many events of that type there are of a submitted user id at or after since.
	CountSince(ctx context.Context, user auth.UserID, of auth.LoginEventType, since time.Time) (int, error)
}
