package delivery

import (
	"slices"
	"strings"
	"time"

	"phonebill/core/fault"
	"phonebill/core/id"
)

// Kind of event.
type Kind string

// The kinds.
const (
	BillResult   Kind = "bill"
	ChangeResult Kind = "change"
)

// Kinds lists every kind.
func Kinds() []Kind { return []Kind{BillResult, ChangeResult} }

// Check refuses what is no filter: VALIDATION_ERROR names the field. An unknown state must not look like an empty list.
func (f Filter) Check() error {
	if f.State == "" || slices.Contains(ListedStates(), f.State) {
		return nil
	}
	return fault.InvalidField("state", oneOf(ListedStates()))
}

// Check refuses an unknown kind: VALIDATION_ERROR.
func (k Kind) Check() error {
	if slices.Contains(Kinds(), k) {
		return nil
	}
	return fault.InvalidField("kind", oneOf(Kinds()))
}

func oneOf[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return strings.Join(words, ", ") + " 중 하나여야 합니다"
}

// Made is one attempt that was made, as it is remembered.
type AttemptRecord struct {
	At    time.Time
	State State // what became of the event
	Note  string
}

// Told is one event as staff see it.
type Listed struct {
	ID          id.ID
	Kind        Kind
	Line        string // masked; empty when what is stored cannot be read
	State       State
	Sequence    int64 // 0 before the first claim
	Attempts    int   // since the result became final, or since a person had it told again
	FinalAt     time.Time
	NextAt      time.Time // Pending: when it is due, if it is its line's first
	DeliveredAt time.Time
	ReplayedAt  time.Time       // when a person had it told again; zero = never
	Last        []AttemptRecord // the last attempts, newest first, MostShown at most
}

// MostShown is how many attempts of an event a list tells.
const MaxAttemptsListed = 5

// MostCounted is as far as lists are counted; page x size goes no further (S-PAGE).
const MaxCounted = 10_000

// Filter chooses events. Empty fields do not limit.
type Filter struct {
	State State
	Since time.Time // of requests that were made then or later
	Page  int       // from 1
	Size  int
}

// Replayable tells whether an event in this state can be told again: what is pending is told anyway.
func (s State) Replayable() bool { return s == Delivered || s == Parked }
