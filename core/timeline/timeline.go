// Package timeline builds one request's timeline for staff: what happened and why, in order (R-API-OPS). It is made
// from stored data: request rows, states, the log of KOS calls, delivery attempts, decisions of staff. It holds no
// personal data: lines are masked, request and response contents are left out. Begin with Timeline (timeline.go).
package timeline

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Source is where an event comes from.
type Source string

// The sources.
const (
	Request  Source = "request"  // the request itself, and the states it went through
	Check    Source = "check"    // the three checks of a plan change
	Queue    Source = "queue"    // waiting: for a call to KOS, or for KOS
	KOS      Source = "kos"      // a call to KOS, or what it proved
	Cache    Source = "cache"    // a copy in memory
	Delivery Source = "delivery" // a delivery to the MVNO AP server
	Staff    Source = "person"   // a member of staff
	Notice   Source = "notice"   // the notification of the customer
)

// EventType is what happened, as a code for programs. Codes are added, never renamed.
type EventType string

// What can happen to every request.
const (
	Requested         EventType = "REQUESTED"
	WaitedForQuota    EventType = "WAITED_FOR_TURN"
	CalledKOS         EventType = "CALLED_KOS"
	Completed         EventType = "COMPLETED"
	Failed            EventType = "FAILED"
	DeliveryAttempted EventType = "DELIVERY_ATTEMPT"
	Delivered         EventType = "DELIVERED"
	DeliveryParked    EventType = "DELIVERY_PARKED"
	DeliveryReplayed  EventType = "DELIVERY_REPLAYED"
)

// Event is one thing that happened. Its facts are small texts: codes, numbers, times (RFC 3339).
type Event struct {
	At     time.Time
	Source Source
	Type   EventType
	Text   string // Korean, for staff
	Facts  map[string]string
}

// Kind of request.
type Kind string

// The kinds.
const (
	Bill   Kind = "bill"   // an inquiry
	Change Kind = "change" // a plan change
)

// Gap is a part of the timeline that is not available.
type Gap string

// The gaps.
const (
	CallsUnavailable Gap = "KOS_CALLS" // the log of KOS calls cannot be read now
	// there are more than MaxPerKind of a kind, or than MaxEvents in all: the oldest are left out
	Truncated Gap = "OLDER_EVENTS"
)

// MaxPerKind is the largest number of steps, calls, attempts or decisions that a timeline is made of: the newest. An
// order that is asked about every 30 s for a day has some 3,000 steps, which are shown folded.
const MaxPerKind = 5000

// MaxEvents is the largest number of events of a timeline after folding: the first one, and the newest.
const MaxEvents = 2000

// truncated returns the timeline without the events above MaxEvents, and marks the gap.
func (s Timeline) truncated() Timeline {
	if len(s.Events) <= MaxEvents {
		return s
	}
	s.Events = append([]Event{s.Events[0]}, s.Events[len(s.Events)-MaxEvents+1:]...)
	if !slices.Contains(s.Missing, Truncated) {
		s.Missing = append(s.Missing, Truncated)
	}
	return s
}

// Timeline is what happened to one request so far, oldest event first.
type Timeline struct {
	Kind    Kind
	Line    string    // masked; empty when what is stored cannot be read
	Status  string    // as it is stored: staff see UNKNOWN and PARKED where the customer sees PROCESSING
	NextAt  time.Time // time of the next attempt; zero when nothing is left to do or a person has to act
	Events  []Event
	Missing []Gap
}

// Combined is a timeline, and the services that could not be reached and might know more.
type Combined struct {
	Timeline
	Unreachable []string
}

// mergeEvents puts events in order; those of the same time stay as they are given.
func mergeEvents(parts ...[]Event) []Event {
	all := slices.Concat(parts...)
	slices.SortStableFunc(all, func(a, b Event) int { return a.At.Compare(b.At) })
	return all
}

// facts pairs keys and values; empty values are left out.
func facts(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

// foldRepeatedChecks makes one event of each kind of check that was repeated: KOS was asked about an order and did not
// know. Only what is between two other events is folded, so that the order of everything else stays as it is. The event
// takes the place of the first one; its facts give the count and the time of the last one. The waits and the calls that
// belong to such checks are folded likewise.
func foldRepeatedChecks(all []Event) []Event {
	var out []Event
	first := map[string]int{} // by what makes events equal: where the event is in out
	counts := map[int]int{}
	for _, e := range all {
		same, repeats := repetitionKey(e)
		if !repeats {
			clear(first)
			out = append(out, e)
			continue
		}
		at, seen := first[same]
		if !seen {
			first[same], counts[len(out)] = len(out), 1
			out = append(out, e)
			continue
		}
		counts[at]++
		f := maps.Clone(e.Facts) // the newest facts, such as the time of the next attempt
		f["count"], f["lastAt"] = number(counts[at]), timeText(e.At)
		out[at].Facts, out[at].Text = f, e.Text
	}
	return out
}

// statusOperation is the KOS operation that asks for the outcome of a change.
const statusOperation = "product.change.status"

// repetitionKey returns what repeated checks have in common, and whether the event is part of one.
func repetitionKey(e Event) (string, bool) {
	switch {
	case e.Type == StillUnknown:
		return string(e.Type) + e.Facts["why"] + "/" + e.Facts["code"] + "/" + e.Facts["sends"], true
	case e.Type == CalledKOS && e.Facts["operation"] == statusOperation:
		return string(e.Type) + e.Facts["result"] + "/" + e.Facts["httpStatus"] + "/" + e.Facts["breaker"], true
	case e.Type == WaitedForQuota && e.Facts["operation"] == statusOperation:
		return string(e.Type), true
	default:
		return "", false
	}
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func number(n int) string { return strconv.Itoa(n) }

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
