package freshness

import "time"

// Raise says that nothing which KOS was asked about a line before Epoch may be shown (ADR 6).
type Raise struct {
	Line  []byte // blind index of the number, the same in every database and in the cache
	Epoch time.Time
}
