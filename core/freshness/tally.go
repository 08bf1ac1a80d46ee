package freshness

import "sync/atomic"

// Tally counts how questions were answered, each under exactly one name. It is safe for concurrent use.
type Tally struct{ hits, stale, misses, coalesced atomic.Int64 }

// Counts are what a Tally has counted.
type Counts struct {
	Hits      int64 // from a fresh copy, or from KOS's no a short while ago
	Stale     int64 // from an old copy, labelled so; no hit
	Misses    int64 // KOS had to be asked
	Coalesced int64 // by waiting for what somebody else was asking
}

// Hit counts an answer from memory.
func (t *Tally) Hit() { t.hits.Add(1) }

// Stale counts an old copy shown.
func (t *Tally) Stale() { t.stale.Add(1) }

// Miss counts a question that KOS was asked.
func (t *Tally) Miss() { t.misses.Add(1) }

// Coalesced counts a question that waited for somebody else's.
func (t *Tally) Coalesced() { t.coalesced.Add(1) }

// Counts answers what was counted so far.
func (t *Tally) Counts() Counts {
	return Counts{Hits: t.hits.Load(), Stale: t.stale.Load(), Misses: t.misses.Load(), Coalesced: t.coalesced.Load()}
}

// HitRate is the share of hits in all, in [0,1]; 0 when nothing was asked.
func (c Counts) HitRate() float64 {
	all := c.Hits + c.Stale + c.Misses + c.Coalesced
	if all == 0 {
		return 0
	}
	return float64(c.Hits) / float64(all)
}
