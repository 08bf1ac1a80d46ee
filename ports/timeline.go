package ports

import (
	"context"

	"phonebill/core/id"
	"phonebill/core/timeline"
)

// Timelines returns the timelines of single requests, for staff.
type Timelines interface {
	// ByRequest returns the timeline of a request so far, its events in order; NOT_FOUND when there is no such request
	// here. A part that cannot be read now is listed in the timeline's Missing, and is no error.
	ByRequest(ctx context.Context, request id.ID) (timeline.Timeline, error)
}
