package memory

import (
	"context"
	"errors"
	"slices"
	"sync"

	"phonebill/core/operations"
	"phonebill/ports"
)

// Instances implements ports.Instances from given statuses. The zero value has none.
type Instances struct {
	mu       sync.Mutex
	all      []operations.Instance
	statuses map[operations.Instance]func(context.Context) (operations.Status, error)
}

var _ ports.Instances = (*Instances)(nil)

// Add configures an instance; nil for one that does not respond.
func (f *Instances) Add(i operations.Instance, answer func(context.Context) (operations.Status, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.statuses == nil {
		f.statuses = map[operations.Instance]func(context.Context) (operations.Status, error){}
	}
	f.all = append(f.all, i)
	f.statuses[i] = answer
}

// All implements ports.Instances.
func (f *Instances) All(_ context.Context, services ...string) []operations.Instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []operations.Instance
	for _, i := range f.all {
		if len(services) == 0 || slices.Contains(services, i.Service) {
			all = append(all, i)
		}
	}
	return all
}

var errDead = errors.New("memory: nothing listens")

// Status implements ports.Instances.
func (f *Instances) Status(ctx context.Context, i operations.Instance) (operations.Status, error) {
	f.mu.Lock()
	answer := f.statuses[i]
	f.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return operations.Status{}, ctx.Err()
	case answer == nil:
		return operations.Status{}, errDead
	}
	return answer(ctx)
}
