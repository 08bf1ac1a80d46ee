package quota

import (
	"slices"
	"time"
)

// Lease lets one process spend Calls in any window while the ledger cannot be asked. Its times are the ledger's.
type Lease struct {
	Holder           string
	Calls            int
	Granted, Expires time.Time
}

// Leases is the rule by which the ledger grants floors: at most Places leases of Calls each, for Life at a time. Budget
// and Per are the whole budget: so many calls of the ledger and of all floors together in any window of length Per.
//
// That bound holds by this argument. Consider a window in which a floor is spent at the time s and the ledger admits a
// call at the time t. The holder spends from one window after the grant, so granted <= s - Per < t, and before the
// lease expires, so t < s + Per <= expires + Per. A lease counts in exactly that span, hence every floor that is spent
// in a window counted when the ledger admitted the last call of that window, and the ledger admitted that call only
// while its own calls of the window were at most Budget less those floors. Each holder spends at most Calls of its
// floor in a window. Without a call of the ledger in the window only floors are spent, which Grant keeps below Budget.
//
// The holder's times are by its own clock (Hold): it opens a window after it received the answer, which is after the
// grant, and closes Life after it sent the request, which is before the ledger reckoned the expiry. A clock that is
// slow by 500 parts in a million, the most that a clock is slewed by, ends a lease of an hour 1.8 s late. Per is 2 s
// longer than KOS's window, which covers that; so Life is an hour at most (LongestLease).
type Leases struct {
	Places, Calls int
	Budget        int
	Life, Per     time.Duration
}

// Bounds of Leases.Life. A lease that is shorter than two windows would hardly be open: it opens one window after the
// grant.
const (
	ShortestLease = 3 * time.Minute
	LongestLease  = time.Hour
)

// Renewals is how often a lease is renewed within its life, so that some renewals may fail before it expires.
const Renewals = 10

// Every returns how long a holder waits between two renewals.
func (r Leases) Every() time.Duration { return r.Life / Renewals }

// Counting returns the leases that count against the ledger's budget at now. The others may be deleted.
func (r Leases) Counting(held []Lease, now time.Time) []Lease {
	return slices.DeleteFunc(slices.Clone(held), func(l Lease) bool { return !now.Before(l.Expires.Add(r.Per)) })
}

// Grant gives the holder a lease, or renews the one it has, and returns all leases that count from then on. ok is false
// when every place is taken, or when one more floor would leave the ledger no call, because other processes were
// granted larger floors. A renewal never ends a lease earlier than it was to end.
func (r Leases) Grant(held []Lease, holder string, now time.Time) (next []Lease, granted Lease, ok bool) {
	next = r.Counting(held, now)
	for i, l := range next {
		if l.Holder == holder {
			if expires := now.Add(r.Life); expires.After(l.Expires) {
				next[i].Expires = expires
			}
			return next, next[i], true
		}
	}
	if len(next) >= r.Places || Leased(next)+r.Calls >= r.Budget {
		return next, Lease{}, false
	}
	granted = Lease{Holder: holder, Calls: r.Calls, Granted: now, Expires: now.Add(r.Life)}
	return append(next, granted), granted, true
}

// GiveBack ends the holder's lease at now. The holder has stopped spending it before it says so. The lease counts for
// one window more, as one that expired does.
func (r Leases) GiveBack(held []Lease, holder string, now time.Time) []Lease {
	next := r.Counting(held, now)
	for i, l := range next {
		if l.Holder == holder && l.Expires.After(now) {
			next[i].Expires = now
		}
	}
	return next
}

// Leased returns the calls of all given leases together.
func Leased(counting []Lease) (calls int) {
	for _, l := range counting {
		calls += l.Calls
	}
	return calls
}

// Rest returns the budget that the ledger itself may spend at now.
func (r Leases) Rest(w Window, held []Lease, now time.Time) Window {
	return w.Less(Leased(r.Counting(held, now)))
}

// Hold is a lease as its holder sees it, by its own monotonic clock.
type Hold struct {
	Lease         Lease
	Opens, Closes time.Time
}

// Hold returns the holder's view after an answer of the ledger. asked is when the request was sent, so that the view
// ends before the ledger's lease; answered is when the answer came, so that it opens a whole window after the grant. A
// renewal opens nothing later, for the lease has counted ever since its grant. A holder without an answer keeps the
// view that it has; one that was refused has none any more: the zero Hold is never open.
func (r Leases) Hold(before Hold, granted Lease, asked, answered time.Time) Hold {
	h := Hold{Lease: granted, Opens: answered.Add(r.Per), Closes: asked.Add(r.Life)}
	if before.Lease.Granted.Equal(granted.Granted) {
		h.Opens = before.Opens
	}
	return h
}

// Open reports whether the floor may be spent at now.
func (h Hold) Open(now time.Time) bool { return !now.Before(h.Opens) && now.Before(h.Closes) }
