// Package quota computes the budget of calls to KOS: at most so many calls in any window of time, shared by lanes.
// Begin with Window.Admit; Allowance bounds what one customer may spend of the budget.
package quota

import (
	"math"
	"slices"
	"time"
)

// Lane is the purpose of a call. When calls wait, earlier lanes are admitted first.
type Lane uint8

// The lanes, most urgent first.
const (
	Change   Lane = iota // a change of plan: its checks, the order, status queries
	Read                 // a customer waits for the answer, or has been promised one
	Refresh              // work ahead of time: copies renewed before they are stale, probes of a breaker
	Prefetch             // copies fetched at night before they are asked for
	lanes
)

// Lanes lists the lanes, most urgent first.
func Lanes() []Lane { return []Lane{Change, Read, Refresh, Prefetch} }

// String returns the lane's name in metrics and in the ledger.
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

// LaneOf parses what String returns. A name that another release may have written is taken for Read.
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

// Window is a sliding budget: at most Budget calls within any Per. Reserve keeps calls for each lane: a lane that has
// used less than its reserve within Per is always admitted, whatever the others do. All reserves together are at most
// Budget. Beyond its reserve Prefetch is admitted only while more than half of the budget is left: work ahead of time
// stops when others need the budget, not when it is used up.
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

// Unlimited returns a window that admits every call; for load tests.
func Unlimited() Window { return Window{Budget: math.MaxInt, Per: time.Second} }

// IsUnlimited reports whether every call is admitted without being counted.
func (w Window) IsUnlimited() bool { return w.Budget == math.MaxInt }

// percent is 100 %.
const percent = 100

// Of returns our budget when KOS allows perMinute calls in any 60 s: 5 % fewer calls in a window 2 s longer, at least
// one.
func Of(perMinute int) Window { return Default().Scaled(perMinute) }

// Default returns 95 calls per 62 s: the margin below KOS's 100 per 60 s covers jitter and differing clocks. Of these
// 20 are reserved for changes, 40 for reads, 5 for refreshes.
func Default() Window {
	return Window{Budget: 95, Per: 62 * time.Second, Reserve: Shares{Change: 20, Read: 40, Refresh: 5}}
}

// Scaled returns the window with so many percent of its budget, but at least one call.
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

// Less returns the window without n calls of its budget, but at least one call.
func (w Window) Less(n int) Window {
	remaining := max(1, w.Budget-n)
	for w.Budget > remaining && w.reserved() > remaining { // the least urgent lane loses reserve first
		for i := len(w.Reserve) - 1; i >= 0; i-- {
			if w.Reserve[i] > 0 {
				w.Reserve[i]--
				break
			}
		}
	}
	w.Budget = remaining
	return w
}

func (w Window) reserved() int {
	sum := 0
	for _, n := range w.Reserve {
		sum += n
	}
	return sum
}

// Admit reports whether one more call of the lane is admitted at now, given the calls already admitted (in any order;
// those older than Per are ignored). When it is not, wait is how long until it is, if no other call is admitted
// meanwhile; that holds after the budget was lowered, too.
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

// admits leaves to every other lane what it has not used of its reserve. As every admission does so, a lane below its
// reserve is always admitted.
func (w Window) admits(used Shares, total int, lane Lane) bool {
	if lane == Prefetch && used[Prefetch] >= w.Reserve[Prefetch] && total >= w.prefetchLimit() {
		return false
	}
	reserved := 0 // for other lanes
	for l, n := range w.Reserve {
		if Lane(l) != lane {
			reserved += max(0, n-used[l])
		}
	}
	return total+reserved < w.Budget
}

// prefetchLimit returns how many calls may have been spent for a prefetch beyond its reserve to be admitted: half of
// the budget, at least one.
func (w Window) prefetchLimit() int { return max(1, w.Budget/2) }

// Apart sets calls apart for each of so many instances, to be spent while the common ledger cannot be asked. floor is
// what each instance gets: as many calls as wished, or fewer, so that all floors fit into the window and leave it one
// call at least. rest is the window without them.
func (w Window) Apart(instances, wished int) (rest Window, floor int) {
	if w.IsUnlimited() || instances <= 0 {
		return w, wished
	}
	floor = max(0, min(wished, (w.Budget-1)/instances))
	return w.Less(instances * floor), floor
}

// Squeeze lowers the budget for a while after E429: another client spends of the same quota, or the clocks differ by
// more than the margin.
type Squeeze struct {
	Percent int       // of the budget; 0 and anything from 100 on mean all of it
	Until   time.Time // all of it again
}

const (
	squeezeTo  = 75 // percent of the current budget, at each E429
	squeezeMin = 25 // percent of the full budget
)

// In returns the window under the squeeze at now.
func (s Squeeze) In(w Window, now time.Time) Window {
	if s.Percent <= 0 || s.Percent >= percent || !now.Before(s.Until) {
		return w
	}
	return w.Scaled(s.Percent)
}

// After returns the squeeze after one more E429 at now. It lasts one window, or as long as this or an earlier
// Retry-After of KOS asks for.
func (s Squeeze) After(w Window, now time.Time, retryAfter time.Duration) Squeeze {
	current, until := percent, now.Add(max(w.Per, retryAfter))
	if s.Percent > 0 && now.Before(s.Until) {
		current = s.Percent
		if s.Until.After(until) {
			until = s.Until
		}
	}
	return Squeeze{Percent: max(squeezeMin, current*squeezeTo/percent), Until: until}
}
