package upstream

import (
	"fmt"
	"time"
)

// Class is how important a request is when a service has too much to do.
type Class uint8

// The classes, the most important first: those of logging in and of changes, those of reading one thing, those of
// lists.
const (
	First Class = iota
	Read
	List
)

// Classes lists all classes, the most important first.
func Classes() []Class { return []Class{First, Read, List} }

// String returns the name of the class in specifications (x-priority) and metrics.
func (c Class) String() string { return [...]string{"first", "read", "list"}[c] }

// ParseClass returns the class of a name.
func ParseClass(name string) (Class, error) {
	for _, c := range Classes() {
		if c.String() == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("%q is not a priority: first, read or list", name)
}

// LoadPolicy is how many requests a service gets at once, and how many wait (S-UPSTREAM-LOAD).
type LoadPolicy struct {
	Start, Least, Most int           // the limit of requests under way, which adapts between Least and Most
	Window             time.Duration // the limit is looked at once in so much time at most
	Samples            int           // and when so many answers have been seen
	Target             time.Duration // the longest that the fastest answer of a window may take
	Backlog            int           // requests that may wait, of all classes
}

// DefaultLoad returns the policy of phonebill.
func DefaultLoad() LoadPolicy {
	return LoadPolicy{
		Start: 256, Least: 32, Most: 1024, Window: 100 * time.Millisecond, Samples: 20,
		Target: 50 * time.Millisecond, Backlog: 512,
	}
}

// Patience returns how long a request of a class waits for its turn before it is refused.
func (c Class) Patience() time.Duration {
	return [...]time.Duration{time.Second, 500 * time.Millisecond, 200 * time.Millisecond}[c]
}

// Admits reports whether a request may join so many that wait already. Lists may fill a quarter of the backlog, reads
// three quarters: there is always a place for a login or a change before there is one for them.
func (p LoadPolicy) Admits(c Class, waiting int) bool {
	share := [...]int{p.Backlog, p.Backlog * 3 / 4, p.Backlog / 4}[c]
	return waiting < share
}

// Window is what was seen of a service in a short time: the time that its fastest answer took, and the most requests
// that were under way. Every request waits in the same queue inside the service (for a processor, for a connection), so
// that the fastest one shows how long that queue was at its shortest: what remains when bursts are taken off, and when
// some requests wait for another system, as in CoDel (RFC 8289).
type Window struct {
	Fastest time.Duration
	Peak    int
}

// Next returns the limit after a window: a tenth less than what was under way when even the fastest answer took too
// long, a little more when the limit was reached and it did not.
func (p LoadPolicy) Next(limit int, w Window) int {
	switch {
	case w.Fastest > p.Target:
		return max(p.Least, min(limit, w.Peak)*9/10)
	case w.Peak >= limit:
		return min(p.Most, limit+max(1, limit/20))
	default:
		return limit
	}
}
