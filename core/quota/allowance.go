package quota

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
