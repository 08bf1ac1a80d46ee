package kos

import (
	"sync/atomic"
	"time"
)

// missingFor is how long a KOS that returned 404 to the status query is taken to lack it. After that it is asked again:
// it may have been given the query, or the proxy that wrongly answered 404 has been repaired.
const missingFor = 10 * time.Minute

// statusQuery remembers that this KOS lacks the status query of changes, so that the call is not paid for each time. A
// client shares it with the client of its probes. The zero value means that the query is there.
// It is safe for concurrent use.
type statusQuery struct {
	missingUntil atomic.Int64 // ns since 1970
}

func (q *statusQuery) isMissing(now time.Time) bool { return now.UnixNano() < q.missingUntil.Load() }

func (q *statusQuery) markMissing(now time.Time) {
	q.missingUntil.Store(now.Add(missingFor).UnixNano())
}
