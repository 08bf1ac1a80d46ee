package memory_test

import (
	"context"
	"testing"

	"phonebill/adapters/memory"
	"phonebill/core/operations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestInstances(t *testing.T) {
	t.Parallel()
	portstest.Instances(t, func(_ *testing.T, well operations.Status) ports.Instances {
		all := &memory.Instances{}
		failing := func(err error) func(context.Context) (operations.Status, error) {
			return func(context.Context) (operations.Status, error) { return operations.Status{}, err }
		}
		for name, answer := range []func(context.Context) (operations.Status, error){
			func(context.Context) (operations.Status, error) { return well, nil },
			func(context.Context) (operations.Status, error) { return operations.Status{Service: well.Service}, nil },
			failing(ports.ErrRefused),
			failing(ports.ErrBadAnswer),
			func(ctx context.Context) (operations.Status, error) {
				<-ctx.Done()
				return operations.Status{}, ctx.Err()
			},
			nil,
		} {
			all.Add(operations.Instance{Service: well.Service, Name: string(rune('a' + name))}, answer)
		}
		return all
	})
}
