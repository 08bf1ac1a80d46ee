package memory

import (
	"context"
	"sync"

	"phonebill/core/ratelimit"
	"phonebill/ports"
)

// RateLimiter implements ports.RateLimiter: one window per caller, which all instances share.
type RateLimiter struct {
	Now     ports.Clock
	mu      sync.Mutex
	windows map[windowKey]*ratelimit.Window
}

// windowKey is a caller and the window that is counted.
type windowKey struct {
	caller string
	slots  ratelimit.Slots
}

var _ ports.RateLimiter = (*RateLimiter)(nil)

// Take counts one request.
func (r *RateLimiter) Take(_ context.Context, caller string, p ratelimit.Policy) ratelimit.Decision {
	if p.Unlimited() {
		return ratelimit.Decision{OK: true}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := windowKey{caller, p.Slots()}
	if r.windows == nil {
		r.windows = map[windowKey]*ratelimit.Window{}
	}
	if r.windows[key] == nil {
		r.windows[key] = &ratelimit.Window{}
	}
	s := r.windows[key].Apply(p.Slots(), ratelimit.Trip{Quota: p.Quota, Want: 1}, r.Now())
	if s.Granted == 0 {
		return ratelimit.Decision{Reset: s.Free, RetryIn: s.Free, Source: ratelimit.ByCache}
	}
	return ratelimit.Decision{
		OK: true, Remaining: max(0, p.Quota-s.Used), Reset: min(s.Free, p.Window), Source: ratelimit.ByCache,
	}
}
