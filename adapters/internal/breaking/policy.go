// Package breaking is what the circuit breakers of all adapters share: when they open and close, and how an operator
// configures that.
package breaking

import (
	"strconv"
	"strings"
	"time"
)

// Policy configures when a breaker opens and closes (S-BREAKER).
type Policy struct {
	Failures  uint32        // consecutive ones that open it
	Open      time.Duration // how long nothing passes; then it is half-open
	Successes uint32        // consecutive ones that close it; as many trials may be out while it is half-open
}

// Default is 5 failures, 30 s, 3 successes.
func Default() Policy { return Policy{Failures: 5, Open: 30 * time.Second, Successes: 3} }

// Most bounds thresholds: with more failures or trials than KOS allows calls in a minute a breaker would never act.
const Most = 100

// Parse reads a policy like 5/30s/3: failures and successes from 1 to Most, open from 1s to 1h.
func Parse(rule string) (p Policy, ok bool) {
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
	ok = failures >= 1 && failures <= Most && open >= time.Second && open <= time.Hour && successes >= 1 &&
		successes <= Most
	return Policy{Failures: uint32(failures), Open: open, Successes: uint32(successes)}, ok
}
