package kos

import (
	"sync"
	"time"
)

// latencies holds an estimate for each operation. It is safe for concurrent use.
type latencies map[Operation]*latencyEstimate

func newLatencies() latencies {
	all := latencies{}
	for _, op := range allOperations() {
		t := op.properties()
		all[t.name] = &latencyEstimate{of: t, p90: t.typical}
	}
	return all
}

// latencyEstimate estimates how long one operation takes at present. It is safe for concurrent use.
type latencyEstimate struct {
	of *traits

	mu    sync.Mutex
	p90   time.Duration // about nine of ten answers come within it
	floor time.Duration // to give, since a call with too little time was not answered; 0 = all calls were answered
}

// needed returns the time that a call should have left when it is sent: a quarter more than the estimate. It is never
// more than the operation's sufficient time, so that there is always a call that can find KOS quick again.
func (e *latencyEstimate) needed() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return min(e.of.sufficient(), max(withReserve(e.p90), e.floor))
}

func withReserve(d time.Duration) time.Duration { return d + d/4 }

// observe learns from a call that was answered after d. A slower answer raises the estimate by 9 %, a quicker one
// lowers it by 1 %, so that one slow line does not make all other callers wait longer.
func (e *latencyEstimate) observe(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if d > e.p90 {
		e.p90 += e.p90 * 9 / 100
	} else {
		e.p90 = max(e.of.typical, e.p90-e.p90/100)
	}
	e.floor = min(e.floor, withReserve(d))
}

// observeTimeout learns from a call that had less than the sufficient time and was not answered in it: the next calls
// are given the sufficient time, until an answer shows how much is needed.
func (e *latencyEstimate) observeTimeout() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.floor = e.of.sufficient()
}
