package auth

import "time"

// Feed is what every verifier of access tokens has to know beside the tokens (ADR 14).
type Feed struct {
	// Revocations are sessions that ended and users whose epoch was raised, in any order, some perhaps again.
	Revocations []Revocation
	// KeyIDs are the signing keys whose tokens are good; nil when the feed does not tell.
	KeyIDs []string
	// AsOf is the store's own time up to which the feed is complete: whatever is told later was stored after it. It is the next
	// question; nobody else's clock has a say.
	AsOf time.Time
}
