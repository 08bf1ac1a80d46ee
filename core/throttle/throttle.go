// Package throttle is the arithmetic of rate limits: GCRA, which needs one time per bucket and has no calendar windows.
package throttle

import (
	"net/netip"
	"sync"
	"time"
)

// Rate allows PerMinute on average and Burst at once. PerMinute 0 means no limit.
type Rate struct{ PerMinute, Burst int }

// Logins returns the limit of logins, and by itself that of refreshes, per address: as many at once as in a minute.
func Logins(perMinute int) Rate { return Rate{PerMinute: perMinute, Burst: perMinute} }

// KnownDevices returns the limit of an account's logins from its known devices, which the address's limit does not
// count: 60/min, burst 60.
func KnownDevices() Rate { return Rate{PerMinute: 60, Burst: 60} }

// Session returns the limit of one session's refreshes, which one client makes: 60/min, burst 300.
func Session() Rate { return Rate{PerMinute: 60, Burst: 300} }

// Interval returns the time that one call uses up.
func (r Rate) Interval() time.Duration { return time.Minute / time.Duration(r.PerMinute) }

// Window returns how far ahead of now a bucket's time may be: a full bucket is empty again after it.
func (r Rate) Window() time.Duration { return r.Interval() * time.Duration(max(1, r.Burst)) }

// Take takes one call from the bucket whose theoretical arrival time is tat (zero: never used). When none is left the
// bucket stays as it is and retryIn says when there will be one.
func (r Rate) Take(tat, now time.Time) (after time.Time, ok bool, retryIn time.Duration) {
	if r.PerMinute == 0 {
		return tat, true, 0
	}
	if tat.Before(now) {
		after = now
	} else {
		after = tat
	}
	after = after.Add(r.Interval())
	if wait := after.Add(-r.Window()).Sub(now); wait > 0 {
		return tat, false, wait
	}
	return after, true, 0
}

// Prefix returns the key under which an address is throttled: itself in IPv4, its /64 in IPv6, where one customer has
// as many addresses as needed. Texts that are no address share one bucket.
func Prefix(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64) // every IPv6 address has one
	return p.String()
}

// Buckets holds up to Most buckets in memory, for one process. When they are all in use, buckets that are empty again
// are dropped first, then any: a flood of addresses cannot exhaust the memory. The zero value holds 10,000; it is safe
// for concurrent use.
type Buckets struct {
	Most int
	mu   sync.Mutex
	tats map[string]time.Time
}

const maxBuckets = 10_000

// Take takes one call from the bucket of the key.
func (b *Buckets) Take(key string, r Rate, now time.Time) (ok bool, retryIn time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	after, ok, retryIn := r.Take(b.tats[key], now)
	if !ok {
		return false, retryIn
	}
	if b.tats == nil {
		b.tats = map[string]time.Time{}
	}
	if _, held := b.tats[key]; !held {
		b.makeRoom(now)
	}
	b.tats[key] = after
	return true, 0
}

func (b *Buckets) makeRoom(now time.Time) {
	most := b.Most
	if most == 0 {
		most = maxBuckets
	}
	if len(b.tats) < most {
		return
	}
	for key, tat := range b.tats {
		if tat.Before(now) {
			delete(b.tats, key)
		}
	}
	for key := range b.tats {
		if len(b.tats) < most {
			return
		}
		delete(b.tats, key)
	}
}
