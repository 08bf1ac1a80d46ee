// Package freshness decides whether a copy of what KOS stated may be shown, and as what, and who of many callers asks
// KOS for a new one. It holds pure rules; core/freshness/copies applies them, core/freshness/prefetch fetches ahead.
package freshness

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

// State says whether a copy may be shown now; the worst state comes first.
type State uint8

// The states.
const (
	Gone       State = iota // may not be shown
	Stale                   // may be shown, labelled with its age, when KOS cannot answer (ADR 23)
	RefreshDue              // as Fresh, but it should be refreshed in the background now, before it is stale
	Fresh                   // may be shown without asking KOS
)

// Limits are the lifetimes of one kind of copy (docs/spec/numbers.md).
type Limits struct {
	Soft         time.Duration // fresh until then
	Hard         time.Duration // stale until then
	RefreshAhead time.Duration // how long before Soft, on average, one of many readers refreshes it; 0 = none does
}

// The limits of docs/spec/numbers.md. Of the readers in the last minutes one refreshes the copy before it is stale
// (probabilistic early expiry), so that a copy in demand never becomes stale.
var (
	Bill      = Limits{Soft: time.Hour, Hard: 7 * 24 * time.Hour, RefreshAhead: time.Hour / earlyShare}
	Customer  = Limits{Soft: 4 * time.Hour, Hard: 7 * 24 * time.Hour, RefreshAhead: 4 * time.Hour / earlyShare}
	MonthList = Limits{Soft: 24 * time.Hour, Hard: 7 * 24 * time.Hour, RefreshAhead: 24 * time.Hour / earlyShare}
	PlanList  = Limits{Soft: 24 * time.Hour, Hard: 30 * 24 * time.Hour, RefreshAhead: 24 * time.Hour / earlyShare}
	PlanCheck = Limits{Soft: 60 * time.Second, Hard: 60 * time.Second} // for a change (ADR 22)

	// Status is for the status of a line that is shown on a screen.
	Status = Limits{Soft: 30 * time.Minute, Hard: 7 * 24 * time.Hour, RefreshAhead: 30 * time.Minute / earlyShare}

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
	case l.RefreshAhead > 0 && float64(l.Soft-age) <= -math.Log(1-rnd)*float64(l.RefreshAhead):
		return RefreshDue
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
	return Limits{Soft: fresh, Hard: shown, RefreshAhead: fresh / earlyShare}, nil
}

// String returns the form that ParseLimits reads.
func (l Limits) String() string { return l.Soft.String() + "/" + l.Hard.String() }

// Subject is what a copy is of. Two queries about one subject have one answer. Key and Part are opaque here: a caller
// gives equal subjects equal values, and a store keeps no more of Key than a keyed hash.
type Subject struct {
	Kind Kind
	Key  personal.Secret // whose it is, for example the digits of a line; empty for what is the same for everybody
	Part string          // which of several, for example the month of a bill; empty when there is one only
}

// Kind is a kind of copies.
type Kind string

// The kinds.
const (
	Bills     Kind = "bill"
	Customers Kind = "customer"
	Plans     Kind = "plans"
	Months    Kind = "months" // which months of a line have a bill
)

// Flight is the state of the question to KOS about one subject, over all processes.
type Flight struct {
	State    FlightState
	Token    string     // Granted: fence of the lease; a finish with an older one changes nothing
	Refusal  fault.Code // Refused: KOS's business answer
	Failures int        // in a row before this question; set when Resting and when Granted
	At       time.Time  // Refused, Resting: when KOS answered; Granted: when the last outcome was noted, zero if unknown
	Until    time.Time  // Pending: when the lease ends; Refused, Resting: when KOS may be asked again
}

// FlightState says who may ask KOS.
type FlightState uint8

// The states.
const (
	Granted FlightState = iota // the caller asks
	Pending                    // another process is asking: wait for its result
	Refused                    // KOS has refused a short while ago, and would again
	Resting                    // KOS has failed on this a short while ago and is left alone until then
)

// Outcome is what a question to KOS came to, as far as others need to know. The zero Outcome notes nothing: KOS was not
// asked, or its answer could not be stored.
type Outcome struct {
	Refusal  fault.Code    // KOS's business answer; empty for none
	Failures int           // in a row, this one included; 0 = none
	At       time.Time     // when KOS answered, or when the copy was stored
	For      time.Duration // how long KOS is not asked again; 0 = it may be asked at once
}

// A refusal is remembered as an answer. A failure is no answer but a reason to leave KOS alone: two quick retries come
// first, then one call after each pause, and the pauses grow.
const (
	refusedFor      = 30 * time.Second
	firstRetryDelay = 300 * time.Millisecond // before the second try, twice as long before the third
	quickRetries    = 2
	firstPause      = 5 * time.Second
	longestPause    = 30 * time.Second
)

// Stored is the outcome of a question whose answer was stored at now.
func Stored(now time.Time) Outcome { return Outcome{At: now} }

// RefusedBy is the outcome of a question that KOS answered with a refusal of its own.
func RefusedBy(code fault.Code, now time.Time) Outcome {
	return Outcome{Refusal: code, At: now, For: refusedFor}
}

// NoNews is the outcome of a question that says nothing about KOS after that many failures in a row: the failures stay
// known, and the next question may be asked at once.
func NoNews(failures int, now time.Time) Outcome {
	if failures == 0 {
		return Outcome{}
	}
	return Outcome{Failures: failures, At: now}
}

// FailedAfter is the outcome of a question that KOS failed on after that many failures in a row. rnd in [0,1) spreads
// the next try over the upper half of a wait that doubles. A KOS that has stated a Retry-After is left alone until
// then, within bounds.
func FailedAfter(failures int, now time.Time, rnd float64, retryAfter time.Duration) Outcome {
	wait := firstRetryDelay << failures
	if failures >= quickRetries {
		wait = min(firstPause<<min(failures-quickRetries, quickRetries+1), longestPause)
	}
	wait = wait/2 + time.Duration(rnd*float64(wait/2))
	return Outcome{Failures: failures + 1, At: now, For: max(wait, min(retryAfter, longestPause))}
}

// Tally counts how queries were answered, each under exactly one name. It is safe for concurrent use.
type Tally struct{ hits, stale, misses, coalesced atomic.Int64 }

// Counts are what a Tally has counted.
type Counts struct {
	Hits      int64 // from a fresh copy, or from a remembered refusal
	Stale     int64 // from a stale copy
	Misses    int64 // KOS had to be asked
	Coalesced int64 // by waiting for a question that was under way
}

// Hit counts an answer from a fresh copy.
func (t *Tally) Hit() { t.hits.Add(1) }

// Stale counts a stale copy shown.
func (t *Tally) Stale() { t.stale.Add(1) }

// Miss counts a query that KOS was asked for.
func (t *Tally) Miss() { t.misses.Add(1) }

// Coalesced counts a query that waited for a question that was under way.
func (t *Tally) Coalesced() { t.coalesced.Add(1) }

// Counts returns what was counted so far.
func (t *Tally) Counts() Counts {
	return Counts{Hits: t.hits.Load(), Stale: t.stale.Load(), Misses: t.misses.Load(), Coalesced: t.coalesced.Load()}
}

// HitRate returns the share of hits in all, in [0,1]; 0 when nothing was counted.
func (c Counts) HitRate() float64 {
	all := c.Hits + c.Stale + c.Misses + c.Coalesced
	if all == 0 {
		return 0
	}
	return float64(c.Hits) / float64(all)
}

// Source says where an answer came from.
type Source string

// The sources.
const (
	FromKOS   Source = "KOS"
	FromCache Source = "CACHE"
	FromStale Source = "STALE" // KOS cannot answer now; the copy is stale (ADR 23)
)

// Raise says that nothing which KOS was asked about a line before Epoch may be shown (ADR 6).
type Raise struct {
	Line  []byte // blind index of the number, the same in every database and in the cache
	Epoch time.Time
}

// Night is when few customers are active, from one time of day in Seoul to another, also across midnight. The zero
// Night never comes.
type Night struct{ From, To time.Duration } // since midnight

// ParseNight reads 「02:00-05:00」, or "off" for the zero Night.
func ParseNight(s string) (Night, error) {
	if s == "off" {
		return Night{}, nil
	}
	from, to, _ := strings.Cut(s, "-")
	begin, err1 := time.Parse("15:04", from)
	end, err2 := time.Parse("15:04", to)
	if err1 != nil || err2 != nil || begin.Equal(end) {
		return Night{}, errors.New(`want times of day in Seoul like "02:00-05:00", or "off"`)
	}
	midnight := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	return Night{begin.Sub(midnight), end.Sub(midnight)}, nil
}

// Open reports whether it is night at now.
func (n Night) Open(now time.Time) bool {
	of := now.Sub(calendar.DateOf(now).Start())
	if n.From <= n.To {
		return n.From <= of && of < n.To
	}
	return n.From <= of || of < n.To
}

// Began returns when the night of now, or the last one before, began.
func (n Night) Began(now time.Time) time.Time {
	today := calendar.DateOf(now)
	if began := today.Start().Add(n.From); !began.After(now) {
		return began
	}
	return today.AddDays(-1).Start().Add(n.From)
}

// Next returns when the first night after now begins.
func (n Night) Next(now time.Time) time.Time {
	return calendar.DateOf(n.Began(now)).AddDays(1).Start().Add(n.From)
}
