// Package quota computes the budget of calls to KOS: at most so many calls in any window of time, shared by lanes.
// Begin with Window.Admit; Allowance bounds what one customer may spend of the budget.
package quota

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
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

// Rate is at most Calls in any window of length Per.
type Rate struct {
	Calls int
	Per   time.Duration
}

// Allowance is what one customer may spend of the KOS budget: every rate holds. Without rates there is no limit.
type Allowance []Rate

// DefaultAllowance returns 10 calls a minute and 60 an hour.
func DefaultAllowance() Allowance {
	return Allowance{{Calls: 10, Per: time.Minute}, {Calls: 60, Per: time.Hour}}
}

const (
	// maxCalls bounds a rate, and so what is stored for a customer.
	maxCalls = 10_000
	// minCalls is what one plan change needs: with fewer every change would be refused.
	minCalls = 2
)

var errAllowance = errors.New(`want rates like "10/1m,60/1h", or "0" for no limit`)

// ParseAllowance parses rates like "10/1m,60/1h": calls (2 to 10,000) per window (1s to 24h). "0" is no limit.
func ParseAllowance(s string) (Allowance, error) {
	if s == "0" {
		return nil, nil
	}
	var a Allowance
	for entry := range strings.SplitSeq(s, ",") {
		calls, per, _ := strings.Cut(strings.TrimSpace(entry), "/")
		n, err1 := strconv.Atoi(calls)
		window, err2 := time.ParseDuration(per)
		if err1 != nil || err2 != nil || n < minCalls || n > maxCalls || window < time.Second || window > 24*time.Hour {
			return nil, fmt.Errorf("%q: %w", entry, errAllowance)
		}
		a = append(a, Rate{Calls: n, Per: window})
	}
	return a, nil
}

// String returns what ParseAllowance parses.
func (a Allowance) String() string {
	if len(a) == 0 {
		return "0"
	}
	rates := make([]string, len(a))
	for i, r := range a {
		rates[i] = strconv.Itoa(r.Calls) + "/" + r.Per.String()
	}
	return strings.Join(rates, ",")
}

// Window returns the longest window of the rates: a call that is older no longer counts. It is 0 without a limit.
func (a Allowance) Window() (longest time.Duration) {
	for _, r := range a {
		longest = max(longest, r.Per)
	}
	return longest
}

// Admit reports whether a customer who made those calls may make one more at now. calls are in order of time. When the
// customer may not, wait is how long it takes, without further calls, until one is admitted.
func (a Allowance) Admit(calls []time.Time, now time.Time) (ok bool, wait time.Duration) {
	for _, r := range a {
		if len(calls) < r.Calls {
			continue
		}
		// When this call has left the window, fewer than r.Calls are in it.
		leaves := calls[len(calls)-r.Calls].Add(r.Per)
		wait = max(wait, leaves.Sub(now))
	}
	return wait <= 0, max(0, wait)
}

// Count returns the calls with one at now added and without those that no rate counts any more. calls are in order of
// time and are not changed.
func (a Allowance) Count(calls []time.Time, now time.Time) []time.Time {
	most := 0
	for _, r := range a {
		most = max(most, r.Calls)
	}
	kept := slices.Clone(calls[max(0, len(calls)-max(0, most-1)):])
	since := now.Add(-a.Window())
	kept = slices.DeleteFunc(kept, func(at time.Time) bool { return !at.After(since) })
	if n := len(kept); n > 0 && kept[n-1].After(now) {
		now = kept[n-1] // a clock that was set back does not put the calls out of order
	}
	return append(kept, now)
}

// GiveBack returns the calls without the newest one, which was counted and then not made.
func GiveBack(calls []time.Time) []time.Time {
	return slices.Clone(calls[:max(0, len(calls)-1)])
}
