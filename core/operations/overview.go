package operations

import (
	"slices"
	"time"

	"phonebill/core/freshness"
	"phonebill/core/quota"
)

// Instance is one process of a service, as it was found.
type Instance struct {
	Service string
	Name    string // distinguishes it from the others of its service: host and port of its internal listener
}

// Trouble is why an instance could not be asked; empty = none.
type Trouble string

// The troubles.
const (
	NoConnection Trouble = "NO_CONNECTION"
	TooSlow      Trouble = "TOO_SLOW"
	Refused      Trouble = "REFUSED"    // it refuses the internal token
	BadAnswer    Trouble = "BAD_ANSWER" // it responds, but not as an instance of this service does
	Gone         Trouble = "GONE"       // its name does not lead to it any more, so that it is not asked
)

// Message returns the text of the failure, for the screen.
func (t Trouble) Message() string {
	switch t {
	case NoConnection:
		return "인스턴스에 연결할 수 없습니다"
	case TooSlow:
		return "인스턴스가 제시간에 응답하지 않았습니다"
	case Refused:
		return "인스턴스가 내부 인증 토큰을 거부하였습니다"
	case BadAnswer:
		return "인스턴스의 응답을 해석할 수 없습니다"
	case Gone:
		return "DNS에 더 이상 등록되어 있지 않은 인스턴스입니다"
	default:
		return ""
	}
}

// Answer is the result of asking one instance: Status, or Trouble when that is not empty.
type Answer struct {
	Instance
	Status    Status
	Trouble   Trouble
	GoneSince time.Time // when its name was seen to lead to it for the last time; zero unless it is Gone
}

// Reached returns the results of the instances that responded, in their order.
func Reached(all []Answer) []Answer {
	return filter(all, func(a Answer) bool { return a.Trouble == "" })
}

// Unreached returns the results of the instances that could not be reached, in their order.
func Unreached(all []Answer) []Answer {
	return filter(all, func(a Answer) bool { return a.Trouble != "" })
}

func filter(all []Answer, keep func(Answer) bool) []Answer {
	var kept []Answer
	for _, a := range all {
		if keep(a) {
			kept = append(kept, a)
		}
	}
	return kept
}

// WithSelf returns the results with that of the instance that asks, which needs no network for it. When it was found
// and asked as well, its own result stands in the place of that answer, under the name that it was found by; else it is
// the first of its service.
func WithSelf(all []Answer, self Answer) []Answer {
	all = slices.Clone(all)
	same := func(a Answer) bool {
		return a.Service == self.Service && a.Trouble == "" && a.Status.Process.ID == self.Status.Process.ID
	}
	if at := slices.IndexFunc(all, same); at >= 0 {
		self.Name = all[at].Name
		all[at] = self
		later := slices.DeleteFunc(slices.Clone(all[at+1:]), same) // further addresses of the same process
		return append(all[:at+1], later...)
	}
	at := slices.IndexFunc(all, func(a Answer) bool { return a.Service == self.Service })
	if at < 0 {
		at = len(all)
	}
	return slices.Insert(all, at, self)
}

// Ledger returns the part of the KOS budget that all instances share, as reported by the first of those that can read
// the ledger; else by the first that has a budget at all, with Ledger false. It is nil when none of them has.
func Ledger(all []Answer) *Quota {
	var found *Quota
	for _, a := range Reached(all) {
		switch q := a.Status.Quota; {
		case q == nil:
		case q.Ledger:
			return q
		case found == nil:
			found = q
		}
	}
	return found
}

// Total adds up the counts of all instances by kind.
func Total(all []Answer) []Cache {
	var every []Cache
	for _, a := range Reached(all) {
		every = append(every, a.Status.Caches...)
	}
	return ByKind(every)
}

// ByKind adds counts of one kind up, in the order in which the kinds turn up.
func ByKind(caches []Cache) []Cache {
	var sums []Cache
	at := map[freshness.Kind]int{}
	for _, c := range caches {
		i, known := at[c.Kind]
		if !known {
			i, at[c.Kind] = len(sums), len(sums)
			sums = append(sums, Cache{Kind: c.Kind})
		}
		sum := &sums[i].Counts
		sum.Hits += c.Counts.Hits
		sum.Stale += c.Counts.Stale
		sum.Misses += c.Counts.Misses
		sum.Coalesced += c.Counts.Coalesced
	}
	return sums
}

// Used returns what was spent within the last 60 s, all lanes.
func (q Quota) Used() int { return sum(q.Spent) }

// Queued returns how many callers wait, all lanes.
func (q Quota) Queued() int { return sum(q.Waiting) }

// IsSqueezed reports whether the budget is reduced for a while.
func (q Quota) IsSqueezed() bool { return !q.Squeezed.IsZero() }

func sum(shares quota.Shares) (total int) {
	for _, n := range shares {
		total += n
	}
	return total
}
