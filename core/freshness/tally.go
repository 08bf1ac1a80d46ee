package freshness

import "sync/atomic"

// Tally counts how queries were answered, each under exactly one name. It is safe for concurrent use.
type Tally struct{ hits, stale, misses, coalesced atomic.Int64 }

// Counts are what a Tally has counted.
type Counts struct {
	Hits      int64 // from a fresh copy, or from a remembered refusal
	Stale     int64 // from a stale copy
	Misses    int64 // KOS had to be asked
	Coalesced int64 // by waiting for a question that was under way
}

// Hit counts an answer from a fresh copy.
func (t *Tally) Hit() { t.hits.Add(1) }

// Stale counts a stale copy shown.
func (t *Tally) Stale() { t.stale.Add(1) }

// Miss counts a query that KOS was asked for.
func (t *Tally) Miss() { t.misses.Add(1) }

// Coalesced counts a query that waited for a question that was under way.
func (t *Tally) Coalesced() { t.coalesced.Add(1) }

// Counts returns what was counted so far.
func (t *Tally) Counts() Counts {
	return Counts{Hits: t.hits.Load(), Stale: t.stale.Load(), Misses: t.misses.Load(), Coalesced: t.coalesced.Load()}
}

// HitRate returns the share of hits in all, in [0,1]; 0 when nothing was counted.
func (c Counts) HitRate() float64 {
	all := c.Hits + c.Stale + c.Misses + c.Coalesced
	if all == 0 {
		return 0
	}
	return float64(c.Hits) / float64(all)
}
