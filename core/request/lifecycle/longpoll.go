package lifecycle

import (
	"context"
	"time"

	"phonebill/core/id"
	"phonebill/ports"
)

// SweepInterval is how often PollUntil reads the store without having been notified.
const SweepInterval = time.Second

// PollUntil is the long poll of a request (the parameter wait of docs/spec/api.md): by notification for what this process
// stores, by a sweep for what other processes store. It calls read until it reports that the request is done or returns an error, until the wait is over, or until the
// process shuts down; it returns what read returned last. The error is that of read, or of ctx if that ends first.
func PollUntil[T any](
	ctx context.Context, board *Board, request id.ID, wait time.Duration,
	read func(context.Context) (last T, done bool, err error),
) (T, error) {
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		published, unsubscribe := board.Subscribe(request)
		last, done, err := read(ctx)
		if err != nil || done || wait == 0 {
			unsubscribe()
			return last, err
		}
		sweep := time.NewTimer(SweepInterval)
		select {
		case <-published:
		case <-sweep.C:
		case <-end.C:
			wait = 0
		case <-ports.ShuttingDown(ctx):
			wait = 0
		case <-ctx.Done():
			err = ctx.Err()
		}
		sweep.Stop()
		unsubscribe()
		if err != nil {
			var none T
			return none, err
		}
	}
}
