package ratelimit

import "time"

// Slots are the lengths in which a shared window counts, for a store that counts by itself.
type Slots struct {
	Length time.Duration
	Keep   int64 // slots before the current one that count
}

// Slots returns how a shared window of the policy counts.
func (p Policy) Slots() Slots { return Slots{Length: p.slot(), Keep: p.keep()} }

// Trip is what an instance sends to a shared window: requests that have passed already and must be counted, units of a
// block that were not used, and how many requests want to pass.
//
// A trip whose answer was lost is sent again under its number: it is counted once, and the answer says what was granted
// the first time.
type Trip struct {
	Sender   string // the instance; unique
	Number   int64  // of the bucket's trips; 0 = never sent again
	Repeated bool   // its answer was lost before
	Quota    int
	Charge   int // counted whether or not the quota is used up
	Earlier  []Earlier
	Back     int   // unused units of a block,
	BackSlot int64 // which were counted in this slot
	Want     int   // counted as far as the quota allows
}

// Earlier are requests that passed some slots ago, while the shared window could not be asked, and are counted there.
type Earlier struct {
	Slots int64
	Count int
}

// State is what a shared window returns for a trip.
type State struct {
	Granted int           // of Want
	Used    int           // requests that count now, with those of the trip
	Slot    int64         // in which they were counted
	Free    time.Duration // until the oldest of them no longer counts; 0 when none counts
}

// Window is the shared window of one bucket: the reference of what a store does in one step. The zero value is empty.
type Window struct {
	counts map[int64]int
	last   map[string]outcome // by sender
}

// outcome is what became of a sender's last trip.
type outcome struct {
	number  int64
	granted int
	slot    int64
}

// Apply carries out a trip at now: what passed earlier is counted in its slot, what is over is forgotten, the
// unused units are taken back, and what has just passed is counted, then as many requests as the quota has left.
func (w *Window) Apply(s Slots, t Trip, now time.Time) State {
	if w.counts == nil {
		w.counts, w.last = map[int64]int{}, map[string]outcome{}
	}
	length := s.Length.Microseconds()
	slot := now.UnixMicro() / length
	used, oldest := 0, slot
	last := w.last[t.Sender]
	known := t.Number != 0 && last.number == t.Number
	if known {
		t.Charge, t.Earlier, t.Back, t.Want = 0, nil, 0, 0
	}
	for _, e := range t.Earlier {
		w.counts[slot-e.Slots] += e.Count
	}
	for at, n := range w.counts {
		if at == t.BackSlot && t.Back > 0 {
			n = max(0, n-t.Back)
			w.counts[at] = n
		}
		if at < slot-s.Keep || n == 0 {
			delete(w.counts, at)
			continue
		}
		used += n
		oldest = min(oldest, at)
	}
	granted := max(0, min(t.Want, t.Quota-used-t.Charge))
	used += t.Charge + granted
	if added := t.Charge + granted; added > 0 {
		w.counts[slot] += added
	}
	if known {
		granted, slot = last.granted, last.slot
	} else if t.Number != 0 {
		w.last[t.Sender] = outcome{t.Number, granted, slot}
	}
	state := State{Granted: granted, Used: used, Slot: slot}
	if used > 0 {
		state.Free = time.Duration((oldest+s.Keep+1)*length-now.UnixMicro()) * time.Microsecond
	}
	return state
}
