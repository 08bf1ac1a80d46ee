package operations

import (
	"phonebill/core/freshness"
	"phonebill/core/quota"
)

// Instance is one process of a service, as it is configured.
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
	default:
		return ""
	}
}

// Answer is the result of asking one instance: Status, or Trouble when that is not empty.
type Answer struct {
	Instance
	Status  Status
	Trouble Trouble
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
