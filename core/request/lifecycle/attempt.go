package lifecycle

import (
	"context"
	"sync"
	"time"
)

// Detached is an attempt at a request that goes on when its customer is answered or gone.
type Detached[T any] struct {
	ended chan T
	left  chan struct{}
}

// StartDetached starts an attempt. If its caller leaves before it ends, late is given the outcome, after Leave was
// called. The attempt is one of running until the caller has its outcome or late has returned.
func StartDetached[T any](running *sync.WaitGroup, attempt func() T, late func(outcome T)) *Detached[T] {
	d := &Detached[T]{ended: make(chan T), left: make(chan struct{})}
	running.Go(func() {
		outcome := attempt()
		select {
		case d.ended <- outcome:
		case <-d.left:
			late(outcome)
		}
	})
	return d
}

// WaitFor returns the outcome if the attempt ends before timeout is over, and reports whether it did.
func (d *Detached[T]) WaitFor(timeout time.Duration) (outcome T, ended bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case outcome = <-d.ended:
		return outcome, true
	case <-timer.C:
		return outcome, false
	}
}

// toAnswer is what a caller needs to answer within its time when it has stopped waiting.
const toAnswer = 150 * time.Millisecond

// TimeLeft returns how long a caller may wait: the rest of its budget, less when ctx ends before the answer could be
// sent. The gateway gives a request less time than usual when it was long under way (docs/upstreams.md).
func TimeLeft(ctx context.Context, budget time.Duration, now time.Time) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return budget
	}
	return min(budget, end.Sub(now)-toAnswer)
}

// Leave says that the caller waits no longer. It must be called once, also when the outcome was received.
func (d *Detached[T]) Leave() { close(d.left) }

// Each makes an attempt at each of the requests that a worker has claimed, all at the same time, and returns their
// outcomes and errors in the same order.
func Each[T, O any](claimed []T, attempt func(T) (O, error)) ([]O, []error) {
	outcomes, errs := make([]O, len(claimed)), make([]error, len(claimed))
	var all sync.WaitGroup
	for i, r := range claimed {
		all.Go(func() { outcomes[i], errs[i] = attempt(r) })
	}
	all.Wait()
	return outcomes, errs
}
