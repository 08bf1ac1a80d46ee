package kos

import (
	"sync/atomic"
	"time"
)

// noQueryHolds is how long a KOS that said so is taken to have no status query. It may be given one; and whoever stood before KOS and said
// so in its place is mended.
const noQueryHolds = 10 * time.Minute

// noQuery remembers that this KOS cannot be asked about transactions, so that the question is not paid for each time. All who work with
// one client, and with what In and Behind make of it, share it. Its zero value knows nothing; it is safe for concurrent use.
type noQuery struct {
	until atomic.Int64 // ns since 1970
}

func (q *noQuery) known(now time.Time) bool { return now.UnixNano() < q.until.Load() }

func (q *noQuery) learn(now time.Time) { q.until.Store(now.Add(noQueryHolds).UnixNano()) }
