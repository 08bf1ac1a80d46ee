// Package quota is the arithmetic of the KOS budget: at most so many calls in ANY window of time, shared by lanes (S-QUOTA).
package quota

import (
	"math"
	"slices"
	"time"
)

// Lane is what a call is for. When calls wait, earlier lanes come first: changes wait least.
type Lane uint8

// The lanes, most urgent first.
const (
	Change   Lane = iota // a change of plan: its checks, the order, finding out what became of it
	Read                 // a customer waits for the answer, or has been promised one
	Refresh              // nobody waits: copies renewed before they are old, probes of a breaker
	Prefetch             // copies fetched at night before anybody asks
	lanes
)

// Lanes lists them, most urgent first.
func Lanes() []Lane { return []Lane{Change, Read, Refresh, Prefetch} }

// String names the lane in metrics and in the ledger.
func (l Lane) String() string {
	switch l {
	case Change:
		return "change"
	case Read:
		return "read"
	case Refresh:
		return "refresh"
	case Prefetch:
		return "prefetch"
	case lanes:
	}
	return "unknown"
}

// LaneOf reads what String wrote. What another release may have written counts as a read.
func LaneOf(name string) Lane {
	for _, l := range Lanes() {
		if l.String() == name {
			return l
		}
	}
	return Read
}

// Shares are calls per lane.
type Shares [lanes]int

// Window is a sliding budget: at most Budget calls within any Per. Reserve keeps calls for each lane: a lane that has used less than
// its reserve within Per is always admitted, whatever the others do. All reserves together are at most Budget. Beyond its reserve Prefetch
// is admitted only while more than half of the budget is left: work ahead of time stops when others need the budget, not when it is
// used up.
type Window struct {
	Budget  int
	Per     time.Duration
	Reserve Shares
}

// Spent is a call that was admitted.
type Spent struct {
	At   time.Time
	Lane Lane
}

// Unlimited is no budget at all; for load tests.
func Unlimited() Window { return Window{Budget: math.MaxInt, Per: time.Second} }

// IsUnlimited tells that every call is admitted without being counted.
func (w Window) IsUnlimited() bool { return w.Budget == math.MaxInt }

// percent is the whole of a share.
const percent = 100

// Of is our budget when KOS allows perMinute calls in any 60 s: 5 % below it, in a window 2 s longer (S-KOS-BUDGET), at least one.
func Of(perMinute int) Window { return Default().Scaled(perMinute) }

// Default is 95 calls per 62 s: the margin under KOS's 100 per 60 s covers jitter and clocks. Of these 20 are kept for changes, 40 for
// customers who wait, 5 for refreshes.
func Default() Window {
	return Window{Budget: 95, Per: 62 * time.Second, Reserve: Shares{Change: 20, Read: 40, Refresh: 5}}
}

// Scaled is the window at that many percent of its budget, but at least one call.
func (w Window) Scaled(to int) Window {
	w.Budget = max(1, w.Budget*to/percent)
	for i, n := range w.Reserve {
		w.Reserve[i] = n * to / percent
	}
	if w.reserved() > w.Budget {
		w.Reserve = Shares{}
	}
	return w
}

// Less is the window without n calls of its budget, which somebody else may spend.
func (w Window) Less(n int) Window {
	left := max(1, w.Budget-n)
	for w.Budget > left && w.reserved() > left { // never keep more than there is: the least urgent gives first
		for i := len(w.Reserve) - 1; i >= 0; i-- {
			if w.Reserve[i] > 0 {
				w.Reserve[i]--
				break
			}
		}
	}
	w.Budget = left
	return w
}

func (w Window) reserved() int {
	sum := 0
	for _, n := range w.Reserve {
		sum += n
	}
	return sum
}

// Admit decides on one more call of the lane at now, given the calls already admitted (any order; older ones than Per are ignored).
// When refused, wait says when a place gets free if nobody else takes it, also after the budget was lowered.
func (w Window) Admit(spent []Spent, lane Lane, now time.Time) (ok bool, wait time.Duration) {
	if w.Budget <= 0 {
		return false, w.Per
	}
	var used Shares
	live := make([]Spent, 0, len(spent))
	for _, s := range spent {
		if now.Sub(s.At) < w.Per {
			used[s.Lane]++
			live = append(live, s)
		}
	}
	if w.admits(used, len(live), lane) {
		return true, 0
	}
	slices.SortFunc(live, func(a, b Spent) int { return a.At.Compare(b.At) })
	for i, s := range live {
		used[s.Lane]--
		if w.admits(used, len(live)-i-1, lane) {
			return false, w.Per - now.Sub(s.At)
		}
	}
	return false, w.Per // reserves beyond the budget; Scaled and Less make none
}

// admits leaves to every other lane what it has not used of its reserve. What every admission leaves, no admission can take: that is
// why a lane below its reserve is always admitted.
func (w Window) admits(used Shares, total int, lane Lane) bool {
	if lane == Prefetch && used[Prefetch] >= w.Reserve[Prefetch] && total >= w.slack() {
		return false
	}
	kept := 0
	for l, n := range w.Reserve {
		if Lane(l) != lane {
			kept += max(0, n-used[l])
		}
	}
	return total+kept < w.Budget
}

// slack is how much of the budget may be spent for work ahead of time to be admitted: half of it, at least one call.
func (w Window) slack() int { return max(1, w.Budget/2) }

// Apart takes what each of so many instances may spend by itself off the window, for times when nobody can be asked about the whole. The
// floor is what each gets: as many calls as wished, or fewer, so that all floors and the one call at least that the window keeps fit in it.
func (w Window) Apart(instances, wished int) (rest Window, floor int) {
	if w.IsUnlimited() || instances <= 0 {
		return w, wished
	}
	floor = max(0, min(wished, (w.Budget-1)/instances))
	return w.Less(instances * floor), floor
}

// Squeeze lowers the budget for a while after KOS has said E429: somebody else spends of the same 100, or our clocks differ more
// than the margin (ADR 20).
type Squeeze struct {
	Percent int       // of the budget; 0 and anything from 100 on mean all of it
	Until   time.Time // all of it again
}

const (
	squeezeTo  = 75 // percent of what is left, at each E429
	squeezeMin = 25 // percent of the budget
)

// In is the window under the squeeze at now.
func (s Squeeze) In(w Window, now time.Time) Window {
	if s.Percent <= 0 || s.Percent >= percent || !now.Before(s.Until) {
		return w
	}
	return w.Scaled(s.Percent)
}

// After is the squeeze after one more E429 at now. It lasts one window, or as long as KOS asks for, or has asked for before.
func (s Squeeze) After(w Window, now time.Time, retryAfter time.Duration) Squeeze {
	held, until := percent, now.Add(max(w.Per, retryAfter))
	if s.Percent > 0 && now.Before(s.Until) {
		held = s.Percent
		if s.Until.After(until) {
			until = s.Until
		}
	}
	return Squeeze{Percent: max(squeezeMin, held*squeezeTo/percent), Until: until}
}
