package ports

import (
	"context"
	"errors"

	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/core/timeline"
)

// ErrRefused is in the chain of an error of Instances when the instance does not take the internal token.
var ErrRefused = errors.New("the instance refuses the internal token")

// ErrBadAnswer is in the chain of an error of Instances when the response is not that of an instance of the service.
var ErrBadAnswer = errors.New("the response is not that of an instance of the service")

// Instances are the configured processes of the services, running or not.
type Instances interface {
	// All lists them, those of one service together, always in the same order.
	All() []operations.Instance
	// Status asks one instance for its status. It fails with ErrRefused, ErrBadAnswer, ctx's error, or any other error
	// when there is no connection.
	Status(ctx context.Context, i operations.Instance) (operations.Status, error)
}

// Timelines returns the timelines of single requests, for staff.
type Timelines interface {
	// ByRequest returns the timeline of a request so far, its events in order; NOT_FOUND when there is no such request
	// here. A part that cannot be read now is listed in the timeline's Missing, and is no error.
	ByRequest(ctx context.Context, request id.ID) (timeline.Timeline, error)
}

// Purge examines up to n records that are older than that many years, deletes those that it may, and returns how many
// it deleted and whether there are more to examine. A store never deletes before the period prescribed
// (core/retention/purge) ends, nor a record that is still being processed.
type Purge func(ctx context.Context, years, n int) (dropped int, more bool, err error)
