package ports

import (
	"context"

	"phonebill/core/id"
	"phonebill/core/timeline"
)

// Timelines tell the whole story of single requests, for staff.
type Timelines interface {
	// Of answers the story of a request so far, its events in order; NOT_FOUND when there is no such request here. A part that cannot be
	// read now stands in the story's Missing, and is no error.
	ByRequest(ctx context.Context, request id.ID) (timeline.Timeline, error)
}
