package lifecycle

import (
	"sync"
	"time"
)

// Attempt is an attempt at a request that goes on when its customer is answered or gone.
type Attempt[T any] struct {
	running *sync.WaitGroup
	ended   chan T
}

// Begin starts an attempt. It is one of running until it has ended and its outcome is dealt with.
func Begin[T any](running *sync.WaitGroup, attempt func() T) *Attempt[T] {
	a := &Attempt[T]{running: running, ended: make(chan T, 1)}
	running.Go(func() { a.ended <- attempt() })
	return a
}

// Within returns the outcome if the attempt ends before timeout is over, and reports whether it did.
func (a *Attempt[T]) Within(timeout time.Duration) (outcome T, ended bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case outcome = <-a.ended:
		return outcome, true
	case <-timer.C:
		return outcome, false
	}
}

// Afterwards passes the outcome to handle, in the background, once the attempt has ended: for a caller that Within did
// not give it to.
func (a *Attempt[T]) Afterwards(handle func(outcome T)) {
	a.running.Go(func() { handle(<-a.ended) })
}

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
