package freshness

import (
	"time"

	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/line"
)

// Subject is what a question to KOS is about. Two questions about one subject have one answer.
type Subject struct {
	Kind  Kind
	Line  line.Number    // zero for the plan list
	Month calendar.Month // of a bill, else zero
}

// Kind of copy.
type Kind string

// The kinds.
const (
	Bills     Kind = "bill"
	Customers Kind = "customer"
	Plans     Kind = "plans"
)

// Flight is a question to KOS under way, or what is remembered of the last one.
type Flight struct {
	State    FlightState
	Token    string     // Mine: fence of the lease; an older one changes nothing
	Refusal  fault.Code // Refused: KOS's own no
	Failures int        // in a row before this question; kept while Resting and when Mine
	At       time.Time  // Refused, Resting: when KOS said it
	Until    time.Time  // Theirs: when the lease ends; Refused, Resting: when KOS may be asked again
}

// FlightState tells whose turn it is.
type FlightState uint8

// The states.
const (
	Mine    FlightState = iota // the caller asks
	Theirs                     // somebody else is asking: wait for what he learns
	Refused                    // KOS has said no a short while ago, and would again
	Resting                    // KOS has failed on this a short while ago; it is left alone until then
)

// Landing is what a question came to. The zero Landing is a copy that has been kept, or a question that was not asked: nothing is
// remembered.
type Landing struct {
	Refusal  fault.Code    // KOS's own no, empty for none
	Failures int           // in a row, this one included; 0 = none
	At       time.Time     // when KOS said it
	For      time.Duration // how long it is remembered as an answer
}

// How long KOS is not asked again what it has just refused to tell, and what it has just failed on. A failure is no answer, it is a reason
// to leave KOS alone: two tries soon after the first, in case it was a hiccup, then one for each rest, and the rests grow.
const (
	refusedFor = 30 * time.Second
	hiccup     = 300 * time.Millisecond // before the second try, twice as long before the third
	hiccups    = 2
	restFirst  = 5 * time.Second
	restMost   = 30 * time.Second
)

// Refusing is the landing of a question that KOS answered with a no of its own.
func Refusing(code fault.Code, now time.Time) Landing {
	return Landing{Refusal: code, At: now, For: refusedFor}
}

// Unasked is the landing of a question that says nothing about KOS, after that many failures in a row: they stay known, and the next
// one may ask at once.
func Unasked(before int, now time.Time) Landing {
	if before == 0 {
		return Landing{}
	}
	return Landing{Failures: before, At: now}
}

// Failing is the landing of a question that KOS failed on after that many failures in a row. rnd in [0,1) spreads the next try over the
// upper half of a wait that doubles. A KOS that has said when to come again is left alone until then, within bounds.
func Failing(before int, now time.Time, rnd float64, retryAfter time.Duration) Landing {
	wait := hiccup << before
	if before >= hiccups {
		wait = min(restFirst<<min(before-hiccups, hiccups+1), restMost)
	}
	wait = wait/2 + time.Duration(rnd*float64(wait/2))
	return Landing{Failures: before + 1, At: now, For: max(wait, min(retryAfter, restMost))}
}
