// Package timeline tells one request's whole story to staff: what happened and why, in order (R-API-OPS). Stories are made of what
// the books hold anyway: request rows, states, the log of KOS calls, attempts to deliver, what persons said. There is no personal data in
// them: lines are masked, what was asked and answered is left out.
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
	Delivery Source = "delivery" // the MVNO AP server was told
	Staff    Source = "person"   // a member of staff
	Notice   Source = "notice"   // the customer was told
)

// What happened: a code for programs. Codes are added, never renamed.
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

// Gap is a part of the story that cannot be told.
type Gap string

// The gaps.
const (
	CallsUnavailable Gap = "KOS_CALLS"    // the log of KOS calls cannot be read now
	Truncated        Gap = "OLDER_EVENTS" // there are more than MostOfAKind of a kind, or than MostShown in all: the oldest are left out
)

// MostOfAKind is how many steps, calls, attempts or words a story is made of at most: the newest. An order that is asked about every 30 s
// for a day has some 3,000 steps, which are shown folded.
const MaxPerKind = 5000

// MostShown is how many events a story has at most, folded: the first one, and the newest.
const MaxEvents = 2000

// bounded is the story without the events that are too many, which it says.
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

// Story is what happened to one request so far, oldest event first.
type Timeline struct {
	Kind    Kind
	Line    string    // masked; empty when what is stored cannot be read
	Status  string    // as it is stored: staff see UNKNOWN and PARKED where the customer sees PROCESSING
	NextAt  time.Time // when it is looked at again; zero when nothing is left to do or a person has to
	Events  []Event
	Missing []Gap
}

// Told is a story, and the services that could not be asked whether they know more.
type Combined struct {
	Timeline
	Unreachable []string
}

// merged puts events in order; those of the same time stay as they are given.
func mergeEvents(parts ...[]Event) []Event {
	all := slices.Concat(parts...)
	slices.SortStableFunc(all, func(a, b Event) int { return a.At.Compare(b.At) })
	return all
}

// facts pairs keys and values; what is empty is left out.
func facts(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

// folded makes one event of each kind of check that was repeated: KOS was asked about an order and could not tell. What is between two
// other events is folded, so that the order of everything else stays as it is. The event stands where the first one was; its facts say how
// many there were and when the last one was. The waits for a turn and the calls that belong to such checks are folded likewise.
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
		f := maps.Clone(e.Facts) // the newest facts, such as when it is looked at next
		f["count"], f["lastAt"] = number(counts[at]), timeText(e.At)
		out[at].Facts, out[at].Text = f, e.Text
	}
	return out
}

// questionOfStatus is the operation of KOS that asks what became of a change.
const statusOperation = "product.change.status"

// likeness is what repeated checks have in common, and whether the event is part of one.
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
