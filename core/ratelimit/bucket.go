package ratelimit

import "time"

// Bucket is what one instance knows and does about one caller. It decides by itself while that is safe: from a block
// that it holds of the shared window, from a refusal that still stands, or, while the caller is far from the limit, by
// letting a few requests pass before they are counted. Else it asks for a trip to the shared window. It holds no lock:
// the caller of its methods does. The zero value is new.
type Bucket struct {
	used         int       // what counted in the shared window after the last trip,
	seenAt       time.Time // which was then; zero: never
	freeAt       time.Time // when the oldest of used no longer counts
	refusedUntil time.Time // nothing can be granted before
	held         int       // units of a block that are not used yet
	heldUntil    time.Time
	heldSlot     int64
	uncounted    int       // requests that have passed and are in no trip yet
	travelling   int       // requests that have passed and are in a trip under way, or in one whose answer was lost
	number       int64     // of the last trip
	begun        time.Time // when it was sent first
	unsure       *Trip     // the last trip, when its answer was lost; it is sent again before any other
	own          ownWindow
}

// Take decides about one request at now, for one of so many instances. ask is true when only the shared window can say.
func (b *Bucket) Take(p Policy, now time.Time, instances int) (d Decision, ask bool) {
	if b.held > 0 && now.Before(b.heldUntil) {
		b.held--
		b.own.add(p, now)
		return b.pass(p, now, ByLocal), false
	}
	if now.Before(b.refusedUntil) {
		return refuse(b.refusedUntil.Sub(now), ByLocal), false
	}
	b.forget(p, now)
	ahead := b.uncounted + b.travelling
	if ahead < p.ahead(instances) && p.far(b.used+ahead+1) {
		b.uncounted++
		b.own.add(p, now)
		return b.pass(p, now, ByLocal), false
	}
	return Decision{}, true
}

// forget drops what is known of a window that has passed as a whole.
func (b *Bucket) forget(p Policy, now time.Time) {
	if now.Sub(b.seenAt) > time.Duration(p.keep()+1)*p.slot() {
		b.used = 0
	}
}

// Fallback decides about one request at now while the shared window cannot be asked: the instance alone lets pass its
// share of the quota in any window, what it has let pass before included.
func (b *Bucket) Fallback(p Policy, now time.Time, instances int) Decision {
	// Until the oldest of what counted last is over, nothing of it is: a window that was full still is.
	if now.Before(b.freeAt) && b.used+b.uncounted+b.travelling >= p.Quota {
		return refuse(b.freeAt.Sub(now), ByFallback)
	}
	share := p.Share(instances)
	used, free := b.own.count(p, now)
	if used >= share {
		return refuse(free, ByFallback)
	}
	b.own.add(p, now)
	b.uncounted++
	if used == 0 {
		free = p.Window
	}
	return Decision{OK: true, Remaining: share - used - 1, Reset: min(free, p.Window), Source: ByFallback}
}

// Begin returns the trip to make now for so many requests that wait; 0 of them settle what has passed. A trip whose
// answer was lost is returned again first. End or Fail must follow, and no other trip of the bucket is made meanwhile.
func (b *Bucket) Begin(p Policy, now time.Time, waiting int) Trip {
	if b.unsure != nil {
		slots := int64(now.Sub(b.begun) / p.slot())
		if slots <= p.keep() {
			return b.unsure.again(slots)
		}
		b.unsure, b.travelling = nil, 0 // nothing of it counts any more
	}
	b.number++
	b.begun = now
	t := Trip{Number: b.number, Quota: p.Quota}
	t.Charge, t.Earlier = b.own.newest(p, now, b.uncounted)
	if waiting > 0 {
		t.Want = waiting + p.block() - 1
	}
	if b.held > 0 && !now.Before(b.heldUntil) {
		t.Back, t.BackSlot = b.held, b.heldSlot
		b.held = 0
	}
	b.uncounted, b.travelling = 0, b.uncounted
	return t
}

// again returns the trip as it is sent so many slots later: what had passed is counted in its own time, and nothing
// more is wanted, since those who waited have been decided without it.
func (t Trip) again(slots int64) Trip {
	earlier := make([]Earlier, 0, len(t.Earlier)+1)
	for _, e := range t.Earlier {
		earlier = append(earlier, Earlier{Slots: e.Slots + slots, Count: e.Count})
	}
	if slots > 0 && t.Charge > 0 {
		earlier = append(earlier, Earlier{Slots: slots, Count: t.Charge})
		t.Charge = 0
	}
	t.Earlier, t.Want, t.Repeated = earlier, 0, true
	return t
}

// End takes over what a trip has brought. What it brought may be used for Policy.hold from when the trip began first.
func (b *Bucket) End(p Policy, t Trip, s State, now time.Time) {
	b.travelling, b.unsure = 0, nil
	b.used, b.seenAt = s.Used, now
	b.freeAt, b.refusedUntil = now.Add(s.Free), time.Time{}
	if t.Repeated { // what was granted, and counted, the first time is for those who passed without an answer
		covered := min(s.Granted, b.uncounted)
		b.uncounted -= covered
		s.Granted -= covered
	}
	if t.Want > 0 || s.Granted > 0 {
		b.held, b.heldUntil, b.heldSlot = s.Granted, b.begun.Add(p.hold()), s.Slot
	}
	if s.Used >= p.Quota {
		b.refusedUntil = b.freeAt
	}
}

// Fail takes note that the answer of a trip was lost, which may or may not have been carried out.
func (b *Bucket) Fail(t Trip) {
	if b.unsure == nil {
		b.unsure = &t
	}
}

// Due reports whether a trip should be made in the background: something has passed that is not counted, an answer was
// lost, or units of a block are over. Pending reports whether that will be so.
func (b *Bucket) Due(now time.Time) bool {
	return b.uncounted > 0 || b.unsure != nil || b.held > 0 && !now.Before(b.heldUntil)
}

// Pending reports whether something is to be settled, now or later.
func (b *Bucket) Pending() bool { return b.uncounted > 0 || b.unsure != nil || b.held > 0 }

// Idle reports whether nothing that the bucket knows is of use at now.
func (b *Bucket) Idle(p Policy, now time.Time) bool {
	mine, _ := b.own.count(p, now)
	return mine == 0 && !b.Pending() && b.travelling == 0 && now.Sub(b.seenAt) > p.Window
}

// Renew adapts the bucket to another policy of the same window: a refusal by the old quota no longer stands.
func (b *Bucket) Renew() { b.refusedUntil = time.Time{} }

func (b *Bucket) pass(p Policy, now time.Time, by Source) Decision {
	left := p.Quota - b.used - b.uncounted - b.travelling + b.held
	reset := b.freeAt.Sub(now)
	if reset <= 0 {
		reset = p.Window
	}
	return Decision{OK: true, Remaining: max(0, left), Reset: min(reset, p.Window), Source: by}
}

func refuse(in time.Duration, by Source) Decision {
	return Decision{Reset: in, RetryIn: in, Source: by}
}

// ownSlots is into how many slots an instance divides a window for what it has let pass itself.
const ownSlots = 24

// ownWindow counts what this instance has let pass, in few slots.
type ownWindow struct {
	last   int64 // the slot of the last request
	total  int
	counts [ownSlots + 1]uint32 // ring by slot: the current one and those that count before it
}

func ownSlot(p Policy) time.Duration { return max(p.Window/ownSlots, time.Millisecond) }

// turn forgets the slots that are over at now.
func (o *ownWindow) turn(p Policy, now time.Time) int64 {
	slot := now.UnixMicro() / ownSlot(p).Microseconds()
	if slot-o.last > ownSlots {
		*o = ownWindow{last: slot}
		return slot
	}
	for ; o.last < slot; o.last++ {
		at := &o.counts[(o.last+1)%(ownSlots+1)]
		o.total -= int(*at)
		*at = 0
	}
	return slot
}

func (o *ownWindow) add(p Policy, now time.Time) {
	slot := o.turn(p, now)
	o.counts[slot%(ownSlots+1)]++
	o.total++
}

// count returns what counts at now, and when the oldest of it no longer does.
func (o *ownWindow) count(p Policy, now time.Time) (n int, free time.Duration) {
	slot := o.turn(p, now)
	if o.total == 0 {
		return 0, 0
	}
	for at := slot - ownSlots; at <= slot; at++ {
		if at >= 0 && o.counts[at%(ownSlots+1)] > 0 {
			length := ownSlot(p).Microseconds()
			return o.total, time.Duration((at+ownSlots+1)*length-now.UnixMicro()) * time.Microsecond
		}
	}
	return o.total, p.Window
}

// newest returns when the newest n requests passed: those of this moment, and the others by how many slots of the
// shared window ago, at the end of the own slot in which they are counted. What is over is left out.
func (o *ownWindow) newest(p Policy, now time.Time, n int) (current int, earlier []Earlier) {
	slot, length := o.turn(p, now), ownSlot(p).Microseconds()
	for at := slot; at > slot-ownSlots-1 && at >= 0 && n > 0; at-- {
		count := min(n, int(o.counts[at%(ownSlots+1)]))
		n -= count
		switch ago := (now.UnixMicro() - (at+1)*length) / p.slot().Microseconds(); {
		case ago <= 0:
			current += count
		case count > 0:
			earlier = append(earlier, Earlier{Slots: ago, Count: count})
		}
	}
	return current, earlier
}
