package kos

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BreakerPolicy says when a breaker opens and closes (product.md); it holds for each operation on its own.
type BreakerPolicy struct {
	Failures  uint32        // consecutive ones that open it
	Open      time.Duration // how long nothing passes; then it is half-open
	Successes uint32        // consecutive ones that close it; as many calls may be out while it is half-open
}

// DefaultBreaker is 5 failures, 30 s, 3 successes.
func DefaultBreaker() BreakerPolicy {
	return BreakerPolicy{Failures: 5, Open: 30 * time.Second, Successes: 3}
}

// BreakerPolicies are those of operations that differ from DefaultBreaker.
type BreakerPolicies map[Operation]BreakerPolicy

func (p BreakerPolicies) of(op Operation) BreakerPolicy {
	if policy, ok := p[op]; ok {
		return policy
	}
	return DefaultBreaker()
}

// mostCalls bounds thresholds: more failures or probes than KOS allows calls in a minute would be a breaker that never acts.
const mostCalls = 100

// ParseBreakers reads policies like "bill.inquiry=5/30s/3,product.change=3/60s/2": failures in a row that open the breaker, how long it
// stays open (1s to 1h), successes in a row that close it. The error names the entry that is wrong.
func ParseBreakers(said string) (BreakerPolicies, error) {
	out := BreakerPolicies{}
	for entry := range strings.SplitSeq(said, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		name, rule, _ := strings.Cut(entry, "=")
		op := Operation(name)
		if !slices.Contains(used(), op) {
			return nil, fmt.Errorf("%q: %q is none of %v", entry, name, used())
		}
		if _, twice := out[op]; twice {
			return nil, fmt.Errorf("%q: %s is there already", entry, name)
		}
		policy, ok := parsePolicy(rule)
		if !ok {
			return nil, fmt.Errorf("%q is not like bill.inquiry=5/30s/3: failures (1 to %d), open (1s to 1h), successes (1 to %d)",
				entry, mostCalls, mostCalls)
		}
		out[op] = policy
	}
	return out, nil
}

func parsePolicy(rule string) (p BreakerPolicy, ok bool) {
	parts := strings.Split(rule, "/")
	if len(parts) != 3 {
		return p, false
	}
	failures, err1 := strconv.ParseUint(parts[0], 10, 32)
	open, err2 := time.ParseDuration(parts[1])
	successes, err3 := strconv.ParseUint(parts[2], 10, 32)
	if err1 != nil || err2 != nil || err3 != nil {
		return p, false
	}
	ok = failures >= 1 && failures <= mostCalls && open >= time.Second && open <= time.Hour && successes >= 1 && successes <= mostCalls
	return BreakerPolicy{Failures: uint32(failures), Open: open, Successes: uint32(successes)}, ok
}
