package auth

import (
	"cmp"
	"slices"
	"time"
)

// KeySchedule says which signing key has which purpose, and when the next one is made. It decides on the keys alone, so
// that every instance decides alike.
type KeySchedule struct {
	Every time.Duration // a key signs that long
	Lead  time.Duration // a key is published that long before it signs: longer than a JWKS may be kept (its max-age)
	Keep  time.Duration // a superseded key is published that long: no token of it lives longer
}

// leeway covers clocks of instances that differ.
const leeway = time.Minute

// DefaultKeys returns the schedule: a new key every 30 days, published 10 minutes ahead (a JWKS may be kept for 5) and
// as long afterwards as an access token lives.
func DefaultKeys() KeySchedule {
	return KeySchedule{Every: 30 * 24 * time.Hour, Lead: 10 * time.Minute, Keep: DefaultSessions().Access + leeway}
}

// Retired reports whether the key is refused at now.
func (k SigningKey) Retired(now time.Time) bool {
	return !k.RetiredAt.IsZero() && !now.Before(k.RetiredAt)
}

// NewestKeyFirst orders keys as they sign, the last to begin first.
func NewestKeyFirst(a, b SigningKey) int {
	return cmp.Or(b.ActiveAt.Compare(a.ActiveAt), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.KeyID, b.KeyID))
}

// usable returns the keys that are not retired at now, newest first.
func usable(keys []SigningKey, now time.Time) []SigningKey {
	kept := slices.DeleteFunc(slices.Clone(keys), func(k SigningKey) bool { return k.Retired(now) })
	slices.SortFunc(kept, NewestKeyFirst)
	return kept
}

// Signer returns the key that signs at now: of those that have begun the one that began last. false when there is none.
func (s KeySchedule) Signer(keys []SigningKey, now time.Time) (SigningKey, bool) {
	for _, k := range usable(keys, now) {
		if !now.Before(k.ActiveAt) {
			return k, true
		}
	}
	return SigningKey{}, false
}

// Published returns the keys whose tokens are valid at now, newest first: the next one, the one that signs, and those
// it has superseded for no longer than Keep.
func (s KeySchedule) Published(keys []SigningKey, now time.Time) []SigningKey {
	var out []SigningKey
	var superseded time.Time // when the key before in the list began
	for _, k := range usable(keys, now) {
		if !superseded.IsZero() && now.Sub(superseded) > s.Keep {
			break
		}
		out = append(out, k)
		superseded = k.ActiveAt
	}
	return out
}

// Due reports whether another key must be made at now, and when that one begins to sign: Lead ahead, at once when
// nothing signs.
func (s KeySchedule) Due(keys []SigningKey, now time.Time) (begins time.Time, due bool) {
	if _, ok := s.Signer(keys, now); !ok {
		return now, true
	}
	newest := usable(keys, now)[0]
	if now.Before(newest.ActiveAt.Add(s.Every - s.Lead)) {
		return time.Time{}, false
	}
	return now.Add(s.Lead), true
}

// Pending returns the key that is published and does not sign yet; false when there is none.
func (s KeySchedule) Pending(keys []SigningKey, now time.Time) (SigningKey, bool) {
	kept := usable(keys, now)
	if len(kept) == 0 || !now.Before(kept[0].ActiveAt) {
		return SigningKey{}, false
	}
	return kept[0], true
}
