package auth

import "time"

// KeyHash is the SHA-256 of a service key.
type KeyHash [32]byte

// ServiceKey is one credential of a system that calls for its users (ADR 29). The key itself is known to that system
// alone.
type ServiceKey struct {
	Hash      KeyHash
	Service   string
	CreatedAt time.Time
	RetiredAt time.Time // zero while live
}

// Live reports whether the key is valid at now.
func (k ServiceKey) Live(now time.Time) bool { return k.RetiredAt.IsZero() || now.Before(k.RetiredAt) }

// LiveServiceKeys is how many keys of one service are valid at a time: the current one, and the next.
const LiveServiceKeys = 2
