package freshness

import (
	"time"

	"phonebill/core/fault"
	"phonebill/core/personal"
)

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
