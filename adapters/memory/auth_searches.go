package memory

import (
	"context"
	"slices"
	"sync"
	"time"
)

// ExactSearches implements ports.ExactSearches.
type ExactSearches struct {
	mu sync.Mutex
	m  map[string][]time.Time
}

// Take counts one search unless there are too many.
func (s *ExactSearches) Take(
	_ context.Context, person string, most int, per time.Duration, now time.Time,
) (ok bool, retryIn time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string][]time.Time{}
	}
	lately := slices.DeleteFunc(s.m[person], func(t time.Time) bool { return !t.After(now.Add(-per)) })
	if len(lately) >= most {
		s.m[person] = lately
		return false, lately[0].Sub(now.Add(-per)), nil
	}
	s.m[person] = append(lately, now)
	return true, 0, nil
}
