package ports

import (
	"context"
	"errors"
	"time"

	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/core/timeline"
)

// ErrRefused is in the chain of an error of Instances when the instance does not take the internal token.
var ErrRefused = errors.New("the instance refuses the internal token")

// ErrBadAnswer is in the chain of an error of Instances when the response is not that of an instance of the service.
var ErrBadAnswer = errors.New("the response is not that of an instance of the service")

// GoneError is the error of Instances for an instance that its name does not lead to any more.
type GoneError struct{ Since time.Time } // when it was found for the last time

// Error implements error.
func (e *GoneError) Error() string { return "its name does not lead to it any more" }

// Instances are the processes of the services, running or not, where they are found now.
type Instances interface {
	// All finds those of the named services, of all services when none is named. Those of one service stand together, in
	// an order that changes only as instances come and go. What cannot be looked up in a short time is as it was found
	// last. An instance that its name does not lead to any more is listed for some minutes yet.
	All(ctx context.Context, services ...string) []operations.Instance
	// Status asks one instance for its status. It fails with ErrRefused, ErrBadAnswer, *GoneError (then nothing was
	// sent), ctx's error, or any other error when there is no connection.
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

// MaintenanceSwitch keeps when customers' operations are switched off.
type MaintenanceSwitch interface {
	// Current returns what was set last, also when it is over; the zero value when there is none.
	Current(ctx context.Context) (operations.Maintenance, error)
	// Set replaces it; the zero value switches it off. Of several callers the last wins.
	Set(ctx context.Context, m operations.Maintenance) error
}
