package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/ports"
)

// LineTransfers implements ports.LineTransfers over Users.
type LineTransfers struct {
	Users *Users
	mu    sync.Mutex
	m     map[id.ID]transfer
}

type transfer struct {
	auth.LineTransfer
	number line.Number
}

// Propose stores the transfer unless the same one waits.
func (l *LineTransfers) Propose(_ context.Context, n line.Number, t auth.LineTransfer) (auth.LineTransfer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.m {
		if !t.Took() && x.number == n && x.To == t.To && x.ProposedBy == t.ProposedBy && x.Waits(t.ProposedAt) {
			return x.LineTransfer, nil
		}
	}
	if l.m == nil {
		l.m = map[id.ID]transfer{}
	}
	l.m[t.ID] = transfer{t, n}
	return t, nil
}

// TakenBy reads those that wait.
func (l *LineTransfers) TakenBy(
	_ context.Context, lines []line.Number, person string, now time.Time,
) (found auth.LineTransfer, n line.Number, taken bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.m {
		if x.Took() && x.Waits(now) && auth.UserID(x.ProposedBy).Same(auth.UserID(person)) &&
			slices.Contains(lines, x.number) &&
			x.ExpiresAt.After(found.ExpiresAt) {
			found, n, taken = x.LineTransfer, x.number, true
		}
	}
	return found, n, taken, nil
}

// Waiting returns those that wait.
func (l *LineTransfers) Waiting(_ context.Context, now time.Time, number, size int) ([]auth.LineTransfer, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var waiting []auth.LineTransfer
	for _, x := range l.m {
		if x.Waits(now) {
			waiting = append(waiting, x.LineTransfer)
		}
	}
	slices.SortFunc(waiting, func(a, b auth.LineTransfer) int {
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), cmp.Compare(a.ID.String(), b.ID.String()))
	})
	return page(waiting, number, size), len(waiting), nil
}

// Confirm moves the line under the locks.
func (l *LineTransfers) Confirm(
	_ context.Context, tid id.ID, decide ports.DecideTransfer,
) (auth.LineTransfer, []ports.AccountChange, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Users.mu.Lock()
	defer l.Users.mu.Unlock()
	held, ok := l.m[tid]
	if !ok {
		return auth.LineTransfer{}, nil, fault.New(fault.ResourceNotFound)
	}
	var changes []ports.AccountChange
	for _, u := range l.Users.m {
		if !held.Took() && u.UserID != held.To && slices.Contains(u.Lines, held.number) {
			changes = append(changes, ports.AccountChange{Before: own(u), After: own(u).WithoutLine(held.number)})
		}
	}
	none := len(changes) == 0 && !held.Took()
	slices.SortFunc(changes, func(a, b ports.AccountChange) int { return cmp.Compare(a.Before.UserID, b.Before.UserID) })
	if to, ok := l.Users.m[held.To]; ok {
		changes = append(changes, ports.AccountChange{Before: own(to), After: own(to).WithLine(held.number)})
	}
	after, err := decide(held.LineTransfer, changes)
	switch {
	case err != nil:
		return auth.LineTransfer{}, nil, err
	case none:
		return auth.LineTransfer{}, nil, auth.LineReleased()
	}
	for i, c := range changes {
		changes[i].After = own(l.Users.store(c.After, c.Before))
	}
	held.LineTransfer = after
	l.m[tid] = held
	return after, changes, nil
}
