package operations

import (
	"strings"
	"time"
)

// Rung is how far from whole the running system is. Each rung names what is missing; a later one costs customers more.
type Rung uint8

// The rungs, from the best to the worst.
const (
	Normal       Rung = iota
	KOSAway           // an operation of KOS is not asked for a while: copies are shown, new answers wait
	CacheAway         // everything goes on from the databases, slower
	DatabaseAway      // what needs that database waits or is refused
	Maintained        // the operator has switched customers' operations off
	rungs
)

// String returns the rung's name in /health, in the header X-Degradation and in metrics.
func (r Rung) String() string {
	switch r {
	case Normal:
		return "NORMAL"
	case KOSAway:
		return "KOS_AWAY"
	case CacheAway:
		return "CACHE_AWAY"
	case DatabaseAway:
		return "DATABASE_AWAY"
	case Maintained:
		return "MAINTENANCE"
	case rungs:
	}
	return "UNKNOWN"
}

// Causes is a set of rungs that apply at the same time; Normal is in none.
type Causes uint8

// With returns the set with one more rung.
func (c Causes) With(r Rung) Causes {
	if r == Normal || r >= rungs {
		return c
	}
	return c | 1<<r
}

// Rung returns the worst rung of the set; Normal for the empty set.
func (c Causes) Rung() Rung {
	for r := rungs - 1; r > Normal; r-- {
		if c&(1<<r) != 0 {
			return r
		}
	}
	return Normal
}

// Names returns the names of the set's rungs, the worst first.
func (c Causes) Names() []string {
	names := []string{}
	for r := rungs - 1; r > Normal; r-- {
		if c&(1<<r) != 0 {
			names = append(names, r.String())
		}
	}
	return names
}

// String returns what ParseCauses reads: the names separated by commas, the worst first; empty for the empty set.
func (c Causes) String() string { return strings.Join(c.Names(), ", ") }

// ParseCauses reads the names of rungs. Those that this release does not know are left out: another release wrote them.
func ParseCauses(s string) (c Causes) {
	for name := range strings.SplitSeq(s, ",") {
		for r := KOSAway; r < rungs; r++ {
			if r.String() == strings.TrimSpace(name) {
				c = c.With(r)
			}
		}
	}
	return c
}

// KOSCauses returns KOSAway while any of the breakers of KOS's operations is not closed.
func KOSCauses(breakers []Breaker) (c Causes) {
	for _, b := range breakers {
		if b.State != Closed {
			c = c.With(KOSAway)
		}
	}
	return c
}

// Degradation is what is missing at a moment.
type Degradation struct {
	Causes Causes
	Since  time.Time // of the rung
}

// Become returns the degradation when these causes are found at now. Since stays while the rung does.
func (d Degradation) Become(found Causes, now time.Time) Degradation {
	if d.Since.IsZero() || found.Rung() != d.Causes.Rung() {
		d.Since = now
	}
	d.Causes = found
	return d
}

// outageAfter is how many checks in a row have to fail: one alone may have met a slow moment.
const outageAfter = 2

// Outage judges the checks of one thing: it is away after two failed checks in a row, and back with the first success.
// The zero value is there.
type Outage struct{ failures int }

// Checked returns the outage after one more check.
func (o Outage) Checked(failed bool) Outage {
	if !failed {
		return Outage{}
	}
	return Outage{failures: min(o.failures+1, outageAfter)}
}

// Away reports whether the thing is away.
func (o Outage) Away() bool { return o.failures >= outageAfter }
