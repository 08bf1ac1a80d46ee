package ports

import (
	"context"
	"time"

	"phonebill/core/freshness"
	"phonebill/core/line"
)

// ActiveLines are the lines whose customers were active lately: what is worth fetching before it is asked for.
type ActiveLines interface {
	// Seen notes that customers have asked about the lines at that time. A line that is new is due at due; of others only
	// the time counts.
	NoteActiveLine(ctx context.Context, k freshness.Kind, lines []line.Number, at, due time.Time) error
	// Due leases up to n lines that are due at now and were seen at since or later, until now+lease; the longest due
	// first.
	Due(ctx context.Context, k freshness.Kind, now, since time.Time, lease time.Duration, n int) ([]line.Number, error)
	// Done says when the line is due next.
	Done(ctx context.Context, k freshness.Kind, n line.Number, next time.Time) error
	// Forget drops lines that were not seen since.
	Forget(ctx context.Context, k freshness.Kind, since time.Time) error
}
