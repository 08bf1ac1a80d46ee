// Package freshness decides whether a copy of what KOS stated may be shown, and as what, and who of many callers asks
// KOS for a new one. It holds pure rules; core/freshness/copies applies them, core/freshness/copies fetches ahead.
package freshness

import (
	"errors"
	"math"
	"strings"
	"time"
)

// State says whether a copy may be shown now; the worst state comes first.
type State uint8

// The states.
const (
	Gone  State = iota // may not be shown
	Stale              // may be shown, labelled with its age, when KOS cannot answer (ADR 23)
	Early              // as Fresh, but it should be refreshed in the background now, before it is stale
	Fresh              // may be shown without asking KOS
)

// Limits are the lifetimes of one kind of copy (docs/spec/numbers.md).
type Limits struct {
	Soft  time.Duration // fresh until then
	Hard  time.Duration // stale until then
	Early time.Duration // how long before Soft, on average, one of many readers refreshes it; 0 = none does
}

// The limits of docs/spec/numbers.md. Of the readers in the last minutes one refreshes the copy before it is stale
// (probabilistic early expiry), so that a copy in demand never becomes stale.
var (
	Bill      = Limits{Soft: time.Hour, Hard: 7 * 24 * time.Hour, Early: time.Hour / earlyShare}
	Customer  = Limits{Soft: 4 * time.Hour, Hard: 7 * 24 * time.Hour, Early: 4 * time.Hour / earlyShare}
	PlanList  = Limits{Soft: 24 * time.Hour, Hard: 30 * 24 * time.Hour, Early: 24 * time.Hour / earlyShare}
	PlanCheck = Limits{Soft: 60 * time.Second, Hard: 60 * time.Second} // for a change (ADR 22)

	// Status is for the status of a line that is shown on a screen.
	Status = Limits{Soft: 30 * time.Minute, Hard: 7 * 24 * time.Hour, Early: 30 * time.Minute / earlyShare}

	// CheckAge is how old the customer's facts may be for a check that changes nothing. An order itself uses none that
	// are older than itself.
	CheckAge = 10 * time.Second

	// Final is for what never changes again (ADR 23).
	Final = Limits{Soft: math.MaxInt64, Hard: math.MaxInt64}

	// Nothing is for what may not be shown at all.
	Nothing = Limits{Soft: math.MinInt64, Hard: math.MinInt64}
)

// Skew is more than the clocks of two instances differ by (postgres.Clock). A change hides copies that KOS was asked
// for up to so long after it.
const Skew = 20 * time.Millisecond

// Decide returns the state of a copy fetched at fetchedAt. Nothing older than epoch may be shown: the customer's own
// last change (ADR 6), or the moment from which a query accepts answers; zero when there is none. rnd in [0,1)
// decides which of many readers is early.
func (l Limits) Decide(fetchedAt, epoch, now time.Time, rnd float64) State {
	age := now.Sub(fetchedAt)
	switch {
	case fetchedAt.IsZero() || fetchedAt.Before(epoch) || age >= l.Hard && age >= l.Soft:
		return Gone
	case age >= l.Soft:
		return Stale
	case l.Early > 0 && float64(l.Soft-age) <= -math.Log(1-rnd)*float64(l.Early):
		return Early
	default:
		return Fresh
	}
}

// Ahead returns the limits of a caller that refreshes copies that long before they are stale.
func (l Limits) Ahead(d time.Duration) Limits { return Limits{Soft: l.Soft - d, Hard: l.Hard} }

// NeverFresh returns the limits of a copy that may be shown as stale for as long, and never without asking KOS. Under
// limits by which no copy is ever stale it may not be shown at all.
func (l Limits) NeverFresh() Limits {
	if l.Hard <= l.Soft {
		return Nothing
	}
	return Limits{Soft: math.MinInt64, Hard: l.Hard}
}

// earlyShare is what part of a copy's soft lifetime is Early by default.
const earlyShare = 120

// ParseLimits reads a soft and a hard lifetime like 「1h/168h」.
func ParseLimits(s string) (Limits, error) {
	soft, hard, _ := strings.Cut(s, "/")
	fresh, err1 := time.ParseDuration(soft)
	shown, err2 := time.ParseDuration(hard)
	if err1 != nil || err2 != nil || fresh <= 0 || shown < fresh {
		return Limits{}, errors.New(`want how long a copy is fresh, and how long it may be shown as stale, like "1h/168h"`)
	}
	return Limits{Soft: fresh, Hard: shown, Early: fresh / earlyShare}, nil
}

// String returns the form that ParseLimits reads.
func (l Limits) String() string { return l.Soft.String() + "/" + l.Hard.String() }
