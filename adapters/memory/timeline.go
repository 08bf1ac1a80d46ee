package memory

import (
	"context"

	"phonebill/core/id"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// Timelines implements ports.Timelines: timelines by their requests. It is filled before it is used.
type Timelines map[id.ID]timeline.Timeline

var _ ports.Timelines = Timelines{}

// ByRequest returns the timeline.
func (t Timelines) ByRequest(_ context.Context, request id.ID) (timeline.Timeline, error) {
	return found(t, request)
}
