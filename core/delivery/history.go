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

// Check fails with a VALIDATION_ERROR that names the field when a state is unknown: it must not look like an empty
// list.
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
	texts := make([]string, len(all))
	for i, w := range all {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ") + " 중 하나여야 합니다"
}

// AttemptRecord is one attempt as it is stored.
type AttemptRecord struct {
	At    time.Time
	State State // of the event after the attempt
	Note  string
}

// Listed is one event as staff see it.
type Listed struct {
	ID          id.ID
	Kind        Kind
	Line        string // masked; empty when what is stored cannot be read
	State       State
	Sequence    int64 // 0 before the first claim
	Attempts    int   // since the result became final, or since its last replay
	FinalAt     time.Time
	NextAt      time.Time // Pending: when it is due, if it is its line's first
	DeliveredAt time.Time
	ReplayedAt  time.Time       // when a person had it delivered again; zero = never
	Last        []AttemptRecord // the last attempts, newest first, MostShown at most
}

// MaxAttemptsListed is how many attempts of an event a list contains.
const MaxAttemptsListed = 5

// MaxCounted is the largest number of events that a list counts; page x size goes no further (S-PAGE).
const MaxCounted = 10_000

// Filter chooses events. Empty fields do not limit.
type Filter struct {
	State State
	Since time.Time // of requests that were made then or later
	Page  int       // from 1
	Size  int
}

// Replayable reports whether an event in this state can be delivered again: a pending one is delivered anyway.
func (s State) Replayable() bool { return s == Delivered || s == Parked }
