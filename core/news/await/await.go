// Package await is the long poll: wait for a request to come to its end (R-API-LONG-POLL).
package await

import (
	"context"
	"time"

	"phonebill/core/id"
	"phonebill/core/news"
	"phonebill/ports"
)

// Sweep is how often one looks for what other processes stored; what this one stores is told at once.
const Sweep = time.Second

// End looks at the request until it is over, has erred, wait is over or the process leaves; then it answers what it saw last. The error is
// look's, or ctx's when that ends first. Look tells whether the request is over.
func End[T any](
	ctx context.Context, board *news.Board, request id.ID, wait time.Duration, look func(context.Context) (seen T, over bool, err error),
) (T, error) {
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		told, done := board.On(request)
		seen, over, err := look(ctx)
		if err != nil || over || wait == 0 {
			done()
			return seen, err
		}
		sweep := time.NewTimer(Sweep)
		select {
		case <-told:
		case <-sweep.C:
		case <-end.C:
			wait = 0
		case <-ports.Leaving(ctx):
			wait = 0
		case <-ctx.Done():
			err = ctx.Err()
		}
		sweep.Stop()
		done()
		if err != nil {
			var none T
			return none, err
		}
	}
}
