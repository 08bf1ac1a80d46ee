package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"phonebill/core/auth"
	"phonebill/core/line"
)

// Accounts implements ports.Accounts and ports.AccountImport over Users and Guesses.
type Accounts struct {
	Users   *Users
	Guesses *Guesses
}

// Search returns one page of the accounts that match.
func (a *Accounts) Search(ctx context.Context, f auth.AccountFilter) ([]auth.Account, int, error) {
	a.Users.mu.Lock()
	var all []auth.User
	for _, u := range a.Users.m {
		all = append(all, own(u))
	}
	a.Users.mu.Unlock()
	var found []auth.Account
	for _, u := range all {
		attempts, err := a.Guesses.Peek(ctx, auth.Subject{UserID: u.UserID})
		if err != nil {
			return nil, 0, err
		}
		if account := (auth.Account{User: u, LockedUntil: attempts.LockedUntil}); matches(account, f) {
			found = append(found, account)
		}
	}
	slices.SortFunc(found, func(a, b auth.Account) int { return cmp.Compare(a.UserID, b.UserID) })
	total := min(len(found), auth.MaxCounted)
	return page(found[:total], f.Page, f.Size), total, nil
}

func matches(a auth.Account, f auth.AccountFilter) bool {
	status := a.Status
	if f.Status == auth.LockedOut {
		status = a.StatusNow(f.Now)
	}
	return (f.UserID == "" || a.UserID.Same(f.UserID)) && (f.CustomerID == "" || a.CustomerID == f.CustomerID) &&
		(f.Line.IsZero() || slices.Contains(a.Lines, f.Line)) && (f.Status == "" || status == f.Status)
}

// Clashes returns none: Create lets no two ids differ in case alone.
func (*Accounts) Clashes(context.Context, int) ([]auth.UserID, error) { return nil, nil }

// Known returns which ids are taken.
func (a *Accounts) Known(_ context.Context, users []auth.UserID) (map[auth.UserID]time.Time, error) {
	a.Users.mu.Lock()
	defer a.Users.mu.Unlock()
	known := map[auth.UserID]time.Time{}
	for _, user := range users {
		if since, ok := a.Users.taken(user); ok {
			known[user] = since
		}
	}
	return known, nil
}

// Holders returns which lines are held.
func (a *Accounts) Holders(_ context.Context, lines []line.Number) (map[line.Number]auth.UserID, error) {
	a.Users.mu.Lock()
	defer a.Users.mu.Unlock()
	holders := map[line.Number]auth.UserID{}
	for _, u := range a.Users.m {
		for _, n := range u.Lines {
			if slices.Contains(lines, n) {
				holders[n] = u.UserID
			}
		}
	}
	return holders, nil
}

// AddAll stores those whose id is free, or none when a line is held.
func (a *Accounts) AddAll(ctx context.Context, users []auth.User) (int, error) {
	added := 0
	for _, u := range users {
		a.Users.mu.Lock()
		_, taken := a.Users.taken(u.UserID)
		err := a.Users.held(u.UserID, u.Lines)
		a.Users.mu.Unlock()
		if !taken && err != nil {
			return 0, err
		}
	}
	for _, u := range users {
		if a.Users.Create(ctx, u) == nil {
			added++
		}
	}
	return added, nil
}

// about reports whether an event is of the account, or of an unknown id that is the same in another case.
func about(e auth.LoginEvent, user auth.UserID) bool {
	return e.UserID == user || !e.Known && e.UserID.Same(user)
}

// Page returns one page of the events of an id, newest first.
func (h *LoginHistory) Page(_ context.Context, user auth.UserID, number, size int) ([]auth.LoginEvent, int, error) {
	var found []auth.LoginEvent
	for _, e := range h.Events() {
		if about(e, user) {
			e.UserID = user
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b auth.LoginEvent) int { return newestFirst(a.At, b.At, a.ID, b.ID) })
	total := min(len(found), auth.MaxCounted)
	return page(found[:total], number, size), total, nil
}

// CountSince counts the events of one type of an id.
func (h *LoginHistory) CountSince(
	_ context.Context, user auth.UserID, of auth.LoginEventType, since time.Time,
) (int, error) {
	n := 0
	for _, e := range h.Events() {
		if about(e, user) && e.Type == of && !e.At.Before(since) {
			n++
		}
	}
	return n, nil
}
