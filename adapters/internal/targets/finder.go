package targets

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Finder finds the instances of one service at its targets, and remembers what it found last. It is safe for concurrent
// use.
type Finder struct {
	targets  []Target
	resolver Resolver
	notFound func(ctx context.Context, t Target, err error)

	mu   sync.Mutex
	last [][]Endpoint // what was found for each target when it was last found
}

// NewFinder returns a finder that has found nothing yet. notFound receives a target whose look-up failed, or found
// nothing (then err is nil); it may be nil.
func NewFinder(
	targets []Target, r Resolver, notFound func(ctx context.Context, t Target, err error),
) *Finder {
	return &Finder{targets: targets, resolver: r, notFound: notFound, last: make([][]Endpoint, len(targets))}
}

// HasNames reports whether instances may come and go: one of the targets is a name.
func (f *Finder) HasNames() bool { return slices.ContainsFunc(f.targets, Target.IsName) }

// Find looks all targets up at once and returns the instances in the order of the targets, each once. A target whose
// look-up fails, finds nothing or takes longer than timeout keeps the instances that it had.
func (f *Finder) Find(ctx context.Context, timeout time.Duration) []Endpoint {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found := make([][]Endpoint, len(f.targets))
	var looking sync.WaitGroup
	for n, t := range f.targets {
		looking.Go(func() {
			all, err := t.Endpoints(ctx, f.resolver)
			if err == nil && len(all) > 0 {
				found[n] = all
			} else if f.notFound != nil {
				f.notFound(ctx, t, err)
			}
		})
	}
	looking.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	var once []Endpoint
	for n := range found {
		if found[n] != nil {
			f.last[n] = found[n]
		}
		for _, e := range f.last[n] {
			if !slices.Contains(once, e) {
				once = append(once, e)
			}
		}
	}
	return once
}

// Missing returns the targets that nothing was ever found for.
func (f *Finder) Missing() []Target {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Target
	for n, t := range f.targets {
		if f.last[n] == nil {
			all = append(all, t)
		}
	}
	return all
}
