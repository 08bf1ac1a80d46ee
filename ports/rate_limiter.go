package ports

import (
	"context"

	"phonebill/core/ratelimit"
)

// RateLimiter counts callers' requests over all instances. It never fails: without its store it goes on counting by
// itself. It is safe for concurrent use.
type RateLimiter interface {
	// Take decides within 50 ms about one request of the caller under the policy, and counts it when it may pass. Of
	// parallel requests over all instances no more than 110 % of the quota pass in any window; while the store is away
	// each instance lets pass its share of the quota. A policy without limit lets everything pass and counts nothing.
	// caller names one of a kind, like "user:hong1234"; it is stored as a keyed hash only. Requests of one caller under
	// different quotas of the same window are counted together.
	Take(ctx context.Context, caller string, p ratelimit.Policy) ratelimit.Decision
}
