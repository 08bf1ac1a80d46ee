package kos

import (
	"fmt"
	"slices"
	"strings"

	"phonebill/adapters/internal/breaking"
)

// BreakerPolicy says when a breaker opens and closes (S-BREAKER); it holds for each operation on its own.
type BreakerPolicy = breaking.Policy

// DefaultBreaker is 5 failures, 30 s, 3 successes.
func DefaultBreaker() BreakerPolicy { return breaking.Default() }

// BreakerPolicies are those of operations that differ from DefaultBreaker.
type BreakerPolicies map[Operation]BreakerPolicy

func (p BreakerPolicies) of(op Operation) BreakerPolicy {
	if policy, ok := p[op]; ok {
		return policy
	}
	return DefaultBreaker()
}

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
		policy, ok := breaking.Parse(rule)
		if !ok {
			return nil, fmt.Errorf("%q is not like bill.inquiry=5/30s/3: failures (1 to %d), open (1s to 1h), successes (1 to %d)",
				entry, breaking.Most, breaking.Most)
		}
		out[op] = policy
	}
	return out, nil
}
