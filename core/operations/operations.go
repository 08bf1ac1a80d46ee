// Package operations holds what the operator's staff see of the running system (openapi/operations.yaml).
package operations

import (
	"time"

	"phonebill/core/freshness"
	"phonebill/core/quota"
)

// Status is what one instance of a service reports about itself. What it does not have is empty. Its name is not
// included: the caller knows which instance it asked, also when that does not respond (Instance).
type Status struct {
	Service   string
	Process   Process
	Breakers  []Breaker
	Quota     *Quota
	Caches    []Cache
	Upstreams []Upstream // of a gateway
}

// The services, as they are called in logs, metrics and on the pages of staff.
const (
	Auth    = "auth"
	Bill    = "bill-inquiry"
	Product = "product-change"
	Gateway = "gateway"
)

// Process is what an instance says about its own process; all of it is empty for one of a release that does not say it.
type Process struct {
	ID        string // made anew with each start; it tells whether two addresses lead to the same process
	Release   string
	Started   time.Time
	Uptime    time.Duration // by the instance's own clock
	Readiness Readiness
}

// Readiness is whether an instance takes requests.
type Readiness string

// The kinds of readiness.
const (
	Ready    Readiness = "READY"
	NotReady Readiness = "NOT_READY" // something that it cannot work without is not there
	Draining Readiness = "DRAINING"  // it is about to end
)

// BreakerState of a circuit breaker.
type BreakerState string

// The states.
const (
	Closed   BreakerState = "CLOSED"
	HalfOpen BreakerState = "HALF_OPEN"
	Open     BreakerState = "OPEN"
)

// Breaker is one circuit breaker as one instance sees it.
type Breaker struct {
	Name     string // operation of KOS, or mvnoap; of a gateway the service behind it
	State    BreakerState
	Failures int       // in a row
	Since    time.Time // of the state
	RetryAt  time.Time // Open: when it lets the next call through; else zero
}

// Quota is the KOS budget. Budget and Spent are of the ledger that all instances share, the rest of the instance.
type Quota struct {
	Window   quota.Window // as configured, the leased floors taken off while the ledger can be asked
	Budget   int          // in force now; less than Window.Budget under a squeeze
	Squeezed time.Time    // until when; zero = not
	Spent    quota.Shares // within the last 60 s, per lane
	Ledger   bool         // the ledger can be asked; else Spent and Squeezed are unknown and only the floor is spent
	Leased   int          // calls of the floors that count against the budget, in sum; unknown without the ledger
	Floor    Floor        // of this instance
	Waiting  quota.Shares // callers per lane
	ETA      [len(quota.Shares{})]time.Duration
}

// Floor is what an instance may spend in a window while the ledger cannot be asked; zero when it holds no lease.
type Floor struct {
	Calls int
	Until time.Time // when the lease expires unless it is renewed, by the ledger's clock
}

// Cache counts how requests of one kind were served since the instance started.
type Cache struct {
	Kind   freshness.Kind
	Counts freshness.Counts
}
