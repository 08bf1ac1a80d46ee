package ports

import (
	"context"
	"errors"

	"phonebill/core/operations"
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
