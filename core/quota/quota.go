// Package quota is the arithmetic of the KOS budget: at most so many calls in ANY window of time (product.md).
package quota

import (
	"math"
	"slices"
	"time"
)

// Window is a sliding budget: at most Budget calls within any Per.
type Window struct {
	Budget int
	Per    time.Duration
}

// Unlimited is no budget at all; for load tests.
func Unlimited() Window { return Window{Budget: math.MaxInt, Per: time.Second} }

// IsUnlimited tells that every call is admitted without being counted.
func (w Window) IsUnlimited() bool { return w.Budget == math.MaxInt }

// Of is our budget when KOS allows perMinute calls in any 60 s: 5 % below it, in a window 2 s longer (product.md), at least one.
func Of(perMinute int) Window {
	d := Default()
	return Window{Budget: max(1, perMinute*d.Budget/100), Per: d.Per}
}

// Default is 95 calls per 62 s: the margin under KOS's 100 per 60 s covers jitter and clocks.
func Default() Window { return Window{Budget: 95, Per: 62 * time.Second} }

// Admit decides on one more call at now, given the times of the calls already admitted (any order; older ones than Per
// are ignored). When refused, wait says when a place gets free if nobody else takes it, also after the budget was lowered.
func (w Window) Admit(spent []time.Time, now time.Time) (ok bool, wait time.Duration) {
	if w.Budget <= 0 {
		return false, w.Per
	}
	used := make([]time.Time, 0, len(spent))
	for _, at := range spent {
		if now.Sub(at) < w.Per {
			used = append(used, at)
		}
	}
	if len(used) < w.Budget {
		return true, 0
	}
	slices.SortFunc(used, time.Time.Compare)
	return false, w.Per - now.Sub(used[len(used)-w.Budget])
}
