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

// Leases is the rule by which the ledger grants floors: at most Places leases of Calls each, for Life at a time. Per is
// the length of the budget's window.
//
// In any window all processes together stay within the budget. A lease counts against the ledger's budget from its
// grant until one window after its expiry, and its holder spends from one window after the grant until the expiry. So
// when a call of a floor and a call of the ledger fall into one window, the lease counted when the ledger admitted its
// call: the ledger's calls in that window are at most the budget less all floors that are spent in it.
type Leases struct {
	Places, Calls int
	Life, Per     time.Duration
}

// Counting returns the leases that count against the ledger's budget at now. The others may be deleted.
func (r Leases) Counting(held []Lease, now time.Time) []Lease {
	return slices.DeleteFunc(slices.Clone(held), func(l Lease) bool { return !now.Before(l.Expires.Add(r.Per)) })
}

// Grant gives the holder a lease, or renews the one it has, and returns all leases that count from then on. ok is false
// when every place is taken.
func (r Leases) Grant(held []Lease, holder string, now time.Time) (next []Lease, granted Lease, ok bool) {
	next = r.Counting(held, now)
	for i, l := range next {
		if l.Holder == holder {
			next[i].Expires = now.Add(r.Life)
			return next, next[i], true
		}
	}
	if len(next) >= r.Places {
		return next, Lease{}, false
	}
	granted = Lease{Holder: holder, Calls: r.Calls, Granted: now, Expires: now.Add(r.Life)}
	return append(next, granted), granted, true
}

// GiveBack ends the holder's lease at now. The holder has stopped spending it before it says so.
func (r Leases) GiveBack(held []Lease, holder string, now time.Time) []Lease {
	next := r.Counting(held, now)
	for i, l := range next {
		if l.Holder == holder && l.Expires.After(now) {
			next[i].Expires = now
		}
	}
	return next
}

// Rest returns the budget that the ledger itself may spend at now.
func (r Leases) Rest(w Window, held []Lease, now time.Time) Window {
	leased := 0
	for _, l := range r.Counting(held, now) {
		leased += l.Calls
	}
	return w.Less(leased)
}

// Hold is a lease as its holder sees it, by its own monotonic clock.
type Hold struct {
	Lease         Lease
	Opens, Closes time.Time
}

// Hold returns the holder's view after an answer of the ledger. asked is when the request was sent, so that the view
// ends before the ledger's lease; answered is when the answer came, so that it opens a whole window after the grant.
func (r Leases) Hold(before Hold, granted Lease, asked, answered time.Time) Hold {
	h := Hold{Lease: granted, Opens: answered.Add(r.Per), Closes: asked.Add(r.Life)}
	if before.Lease.Granted.Equal(granted.Granted) {
		h.Opens = before.Opens
	}
	return h
}

// Open reports whether the floor may be spent at now.
func (h Hold) Open(now time.Time) bool { return !now.Before(h.Opens) && now.Before(h.Closes) }
