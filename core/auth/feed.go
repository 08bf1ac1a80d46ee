package auth

import "time"

// Feed is what every verifier of access tokens must know in addition to the tokens (ADR 14).
type Feed struct {
	// Revocations are sessions that ended and users whose epoch was raised, in any order, some perhaps again.
	Revocations []Revocation
	// KeyIDs are the signing keys whose tokens are valid; nil when the feed does not contain them.
	KeyIDs []string
	// AsOf is the store's own time up to which the feed is complete: later revocations were stored after it. It is the
	// start of the next pull; no other clock matters.
	AsOf time.Time
}
