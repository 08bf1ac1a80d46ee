package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/line"
)

// Accounts lets staff search accounts.
type Accounts interface {
	// Search returns one page of the accounts that match all of the filter, by user id, and how many match (at most
	// auth.MaxCounted). The number of queries does not depend on the result.
	Search(ctx context.Context, f auth.AccountFilter) ([]auth.Account, int, error)
	// Clashes returns the ids of accounts, without INACTIVE ones, that differ from another one's in case alone: side by
	// side, and those of up to most folded ids.
	Clashes(ctx context.Context, most int) ([]auth.UserID, error)
}

// AccountImport stores accounts in bulk.
type AccountImport interface {
	// Known returns which of the ids are taken in any case, and since when.
	Known(ctx context.Context, users []auth.UserID) (map[auth.UserID]time.Time, error)
	// Holders returns which of the lines are held, and by which account (one of them, when older data has several).
	Holders(ctx context.Context, lines []line.Number) (map[line.Number]auth.UserID, error)
	// AddAll stores the new accounts as Users.Create does, all or none, but leaves out those whose id is taken; it
	// returns how many were stored. No id and no line may occur twice. It fails with LINE_HELD, and stores nothing,
	// when another account holds a line by now.
	AddAll(ctx context.Context, users []auth.User) (int, error)
}

// LoginRecords reads the login history.
type LoginRecords interface {
	// Page returns one page of the events of a user id, newest first, and how many there are (at most auth.MaxCounted).
	// Events of ids that were unknown and differ in case at most are included, also those from before the account was
	// made; events of another account are not. Pages count from 1.
	Page(ctx context.Context, user auth.UserID, page, size int) ([]auth.LoginEvent, int, error)
	// CountSince returns how many events of that type there are at or after since, of those that Page returns.
	CountSince(ctx context.Context, user auth.UserID, of auth.LoginEventType, since time.Time) (int, error)
}

// LineTransfers are the transfers of lines that need a second person.
type LineTransfers interface {
	// Propose stores the transfer of the line and returns it; when one of the same line, account and person waits
	// already, that one is returned and nothing is stored, also under concurrency. A line that was taken (auth.Taken)
	// is always stored.
	Propose(ctx context.Context, n line.Number, t auth.LineTransfer) (auth.LineTransfer, error)
	// TakenBy returns what waits at now of the lines that the person, in any case of the name, took from accounts: the
	// one that waits the longest, with its line; false when there is none.
	TakenBy(
		ctx context.Context, lines []line.Number, person string, now time.Time,
	) (auth.LineTransfer, line.Number, bool, error)
	// Waiting returns one page of the transfers that wait at now, those that expire first before the others, and how many
	// there are. Pages count from 1.
	Waiting(ctx context.Context, now time.Time, page, size int) (waiting []auth.LineTransfer, total int, err error)
	// Confirm loads the transfer and the accounts concerned under a lock, calls decide (pure, may run twice), and in
	// one step takes the line from every account that holds it, gives it to the transfer's account if that exists, and
	// stores what decide returned. It returns the stored transfer and what changed. An error of decide is returned and
	// nothing is stored. It fails with NOT_FOUND for an unknown transfer, auth.LineReleased when no account holds the
	// line, and CONFLICT when the accounts changed meanwhile. A transfer of a line that was taken concerns no account
	// and changes none.
	Confirm(ctx context.Context, tid id.ID, decide DecideTransfer) (auth.LineTransfer, []AccountChange, error)
}

// DecideTransfer decides on a transfer, given the accounts before and after it.
type DecideTransfer func(t auth.LineTransfer, concerned []AccountChange) (auth.LineTransfer, error)

// AccountChange is an account before and after a change.
type AccountChange struct{ Before, After auth.User }

// ExactSearches counts how often a person searches for exactly one thing that is masked otherwise.
type ExactSearches interface {
	// Take counts one search of the person at now. When most of them were counted within per before now, over all
	// instances and under any concurrency, it counts none and returns false and when there will be one.
	Take(
		ctx context.Context, person string, most int, per time.Duration, now time.Time,
	) (ok bool, retryIn time.Duration, err error)
}
