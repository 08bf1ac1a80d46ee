package kossim

import "time"

// window is the span of the quota (S-QUOTA: 100 calls per 60 s, sliding).
const window = 60 * time.Second

// quota remembers when the last calls were taken. limit 0 = no limit.
type quota struct {
	limit int
	taken []time.Time // oldest first, none older than window
}

// take counts a call at now, or answers how long the caller has to wait for the next free place.
func (q *quota) take(now time.Time) (wait time.Duration, ok bool) {
	for len(q.taken) > 0 && now.Sub(q.taken[0]) >= window {
		q.taken = q.taken[1:]
	}
	if q.limit > 0 && len(q.taken) >= q.limit {
		return window - now.Sub(q.taken[len(q.taken)-q.limit]), false
	}
	q.taken = append(q.taken, now)
	return 0, true
}
