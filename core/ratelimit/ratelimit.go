// Package ratelimit has the rules of the request limits of users and service credentials (S-RATE-LIMIT, S-TIERS): what
// a policy says, how requests are counted in a sliding window that all instances share (window.go), and what one
// instance decides with what it knows of that window (bucket.go). docs/rate-limits.md says why the bounds hold.
package ratelimit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"phonebill/core/auth"
)

// Policy allows Quota requests in any period of length Window. A Quota of 0 is no limit.
type Policy struct {
	Quota  int
	Window time.Duration
}

// Unlimited reports whether the policy is no limit.
func (p Policy) Unlimited() bool { return p.Quota == 0 }

// Share returns what one of so many instances allows by itself while the shared window cannot be asked: its part of
// the quota, rounded up.
func (p Policy) Share(instances int) int {
	instances = max(1, instances)
	return (p.Quota + instances - 1) / instances
}

const (
	// slotsPerWindow is into how many slots a window is divided. A request is forgotten as a whole slot, so the window
	// is longer than it says by up to two of them, 0.8 %.
	slotsPerWindow = 240
	// leastHold is more than a trip to the shared window takes.
	leastHold = 100 * time.Millisecond
	// blocksPerQuota makes a block, which an instance takes at once of a shared window, a hundredth of the quota.
	blocksPerQuota = 100
	// The overshoot of all instances is at most a tenth of the quota (docs/rate-limits.md): each of them may let so
	// many requests pass before it has counted them, at most twice in a window.
	overshootPart = 10
	perWindow     = 2
	// fewestInstances is for how many instances the bound holds when fewer are configured.
	fewestInstances = 4
	// Of the quota so much must be left, in percent, for a request to pass before it is counted.
	farPercent = 60
)

// slot returns the length of a slot of the shared window.
func (p Policy) slot() time.Duration { return max(p.Window/slotsPerWindow, time.Millisecond) }

// hold returns for how long an instance may use the units of a block.
func (p Policy) hold() time.Duration { return max(p.slot(), leastHold) }

// keep returns how many slots before the current one count. A unit of a block may be used later than it was counted, so
// it counts for longer than the window.
func (p Policy) keep() int64 { return int64((p.Window + p.hold() + p.slot() - 1) / p.slot()) }

// block returns how many requests an instance takes of the shared window at once.
func (p Policy) block() int { return max(1, p.Quota/blocksPerQuota) }

// ahead returns how many requests one of so many instances may let pass before they are counted.
func (p Policy) ahead(instances int) int {
	return p.Quota / (overshootPart * perWindow * max(instances, fewestInstances))
}

// far reports whether so few requests count that one may pass before it is counted.
func (p Policy) far(used int) bool { return 100*(p.Quota-used) >= farPercent*p.Quota }

// Limits are the policies by tier. A tier without one has that of auth.TierDefault.
type Limits map[auth.Tier]Policy

// Of returns the policy of a tier. Without limit is BENCH alone, and only when bench says so: elsewhere it is an
// ordinary tier.
func (l Limits) Of(tier auth.Tier, bench bool) Policy {
	if tier == auth.TierBench && bench {
		return Policy{}
	}
	if p, ok := l[tier]; ok {
		return p
	}
	return l[auth.TierDefault]
}

const (
	maxQuota  = 10_000_000
	minWindow = time.Second
	maxWindow = time.Hour
)

var errLimits = errors.New(
	"want tiers with requests a minute, or in another window (1s to 1h), like DEFAULT=100,VIP=500/1m,MVNO_AP=10000")

// ParseLimits reads limits like DEFAULT=100,VIP=500,MVNO_AP=10000: requests a minute, or in the window that is named
// (DEFAULT=20/5s). Tiers that are not named keep the limit of DefaultLimits. BENCH has none and cannot be named.
func ParseLimits(s string) (Limits, error) {
	limits := DefaultLimits()
	if s == "" {
		return limits, nil
	}
	var named []auth.Tier
	for entry := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(entry), "=")
		quota, per, hasWindow := strings.Cut(value, "/")
		tier, err1 := auth.ParseTier(name)
		n, err2 := strconv.Atoi(quota)
		window, err3 := time.Minute, error(nil)
		if hasWindow {
			window, err3 = time.ParseDuration(per)
		}
		if errors.Join(err1, err2, err3) != nil || tier == auth.TierBench || slices.Contains(named, tier) ||
			n < 1 || n > maxQuota || window < minWindow || window > maxWindow || window%time.Second != 0 {
			return nil, fmt.Errorf("%q: %w", entry, errLimits)
		}
		named = append(named, tier)
		limits[tier] = Policy{Quota: n, Window: window}
	}
	return limits, nil
}

// DefaultLimits returns S-RATE-LIMIT and S-TIERS.
func DefaultLimits() Limits {
	return Limits{
		auth.TierDefault: {Quota: 100, Window: time.Minute},
		auth.TierVIP:     {Quota: 500, Window: time.Minute},
		auth.TierMVNOAP:  {Quota: 10_000, Window: time.Minute},
	}
}

// Source says by what a decision was made.
type Source string

// The sources. Fallback is the instance alone, while the shared window cannot be asked.
const (
	ByLocal    Source = "local"
	ByCache    Source = "cache"
	ByFallback Source = "fallback"
)

// Decision is whether one request may pass. Remaining requests may follow it before Reset is over; after Reset there
// are more. When it may not, RetryIn says when one may.
type Decision struct {
	OK        bool
	Remaining int
	Reset     time.Duration
	RetryIn   time.Duration
	Source    Source
}
