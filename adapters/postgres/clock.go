package postgres

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/ports"
)

// Clock returns the database's time, so that all instances have the same time: the time of a response of KOS to one
// instance is compared with the time of a change that another one made (ADR 6), and a wrong machine clock must not make
// an old value look new. Its error is the duration of one query, about a millisecond (freshness.Skew is more); only
// exact readings are used. A step of the machine's own clock does not move it, and it runs on while the database is not
// available. It is safe for concurrent use.
type Clock struct {
	pool  *pgxpool.Pool
	local ports.Clock
	set   atomic.Pointer[reading]
}

// reading is the database's time (there) at a moment of this process (here, with a monotonic reading).
type reading struct {
	here, there time.Time
	within      time.Duration // maximum error: half the duration of the query
}

// drift is how far two clocks drift apart in the time at most: 200 ppm, a bad crystal each.
func drift(in time.Duration) time.Duration { return in / 5000 }

// later returns the reading to use from now on: the newer one when it is the more exact by now, or when both cannot be
// true because the database's clock was set. A slow reading is not used, or an instance under load would have a
// different time.
func (r reading) later(newer reading) reading {
	age := newer.here.Sub(r.here)
	within := r.within + drift(age)
	apart := newer.there.Sub(r.there.Add(age)).Abs()
	if newer.within <= within || apart > within+newer.within {
		return newer
	}
	return r
}

// SyncEvery is how often to call Sync: in that time two machines drift apart by less than a millisecond.
const SyncEvery = 10 * time.Second

// NewClock returns a clock that has the local time until the first Sync.
func NewClock(pool *pgxpool.Pool, local ports.Clock) *Clock { return &Clock{pool: pool, local: local} }

// Now returns the time in UTC, in PostgreSQL's microseconds.
func (c *Clock) Now() time.Time {
	set := c.set.Load()
	if set == nil {
		return c.local()
	}
	return set.there.Add(time.Since(set.here)).UTC().Truncate(time.Microsecond)
}

// samples are taken at each Sync; the quickest is used.
const samples = 3

// Sync reads the database's time.
func (c *Clock) Sync(ctx context.Context) error {
	var best reading
	for n := range samples {
		asked := time.Now()
		var there time.Time
		if err := c.pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&there); err != nil {
			return translate("read the clock", err)
		}
		half := time.Since(asked) / 2
		if n == 0 || half < best.within {
			best = reading{here: asked.Add(half), there: there, within: half}
		}
	}
	if set := c.set.Load(); set != nil {
		best = set.later(best)
	}
	c.set.Store(&best)
	return nil
}
