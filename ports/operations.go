package ports

import (
	"context"
	"errors"

	"phonebill/core/operations"
)

// ErrRefused is in the chain of an error of Instances when the instance does not take the internal token.
var ErrRefused = errors.New("the instance refuses the internal token")

// ErrBadAnswer is in the chain of an error of Instances when what answered is no instance of the service.
var ErrBadAnswer = errors.New("the answer is not that of an instance of the service")

// Instances are the running processes of the services, as they are configured: also those that are dead.
type Instances interface {
	// All lists them, those of one service together, always in the same order.
	All() []operations.Instance
	// Status asks one what it knows of itself. It errs with ErrRefused, ErrBadAnswer, ctx's error, or anything else when there is no
	// connection.
	Status(ctx context.Context, i operations.Instance) (operations.Status, error)
}
