package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"phonebill/core/freshness"
	"phonebill/core/line"
)

// ActiveLines implements ports.ActiveLines.
type ActiveLines struct {
	mu sync.Mutex
	m  map[activeLine]*activity
}

type activeLine struct {
	kind freshness.Kind
	line line.Number
}

type activity struct{ seen, due time.Time }

// NoteActiveLine notes the lines.
func (a *ActiveLines) NoteActiveLine(
	_ context.Context, k freshness.Kind, lines []line.Number, at, due time.Time,
) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.m == nil {
		a.m = map[activeLine]*activity{}
	}
	for _, n := range lines {
		held, ok := a.m[activeLine{k, n}]
		switch {
		case !ok:
			a.m[activeLine{k, n}] = &activity{at, due}
		case held.seen.Before(at):
			held.seen = at
		}
	}
	return nil
}

// Due leases lines.
func (a *ActiveLines) Due(
	_ context.Context, k freshness.Kind, now, since time.Time, lease time.Duration, n int,
) (due []line.Number, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, held := range a.m {
		if key.kind == k && !held.due.After(now) && !held.seen.Before(since) {
			due = append(due, key.line)
		}
	}
	slices.SortFunc(due, func(x, y line.Number) int {
		return a.m[activeLine{k, x}].due.Compare(a.m[activeLine{k, y}].due)
	})
	due = due[:min(n, len(due))]
	for _, l := range due {
		a.m[activeLine{k, l}].due = now.Add(lease)
	}
	return due, nil
}

// Done sets when the line is due next.
func (a *ActiveLines) Done(_ context.Context, k freshness.Kind, n line.Number, next time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if held, ok := a.m[activeLine{k, n}]; ok {
		held.due = next
	}
	return nil
}

// Forget drops lines.
func (a *ActiveLines) Forget(_ context.Context, k freshness.Kind, since time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, held := range a.m {
		if key.kind == k && held.seen.Before(since) {
			delete(a.m, key)
		}
	}
	return nil
}
