package cases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/ports"
)

// instanceTimeout is how long one instance may take to respond. All are asked at once, so it bounds the whole call.
const instanceTimeout = time.Second

// Overview reads the status of all instances.
type Overview struct {
	Instances ports.Instances
	Report    ports.Report // receives the reason when an instance could not be reached
	// Self is the instance that asks, which lists itself whether it is found or not; nil for a program that is none.
	Self func(context.Context) operations.Answer
}

// Ask returns the status of each instance of the named services (of all services when none is named), or why it could
// not be read, in the order of ports.Instances. A failing instance is no error. Ask fails with FORBIDDEN for a caller
// that is no member of staff, whatever the caller's permissions.
func (s *Overview) Ask(ctx context.Context, p auth.Principal, services ...string) ([]operations.Answer, error) {
	if !p.Staff() {
		return nil, fault.New(fault.PermissionDenied)
	}
	instances := s.Instances.All(ctx, services...)
	results := make([]operations.Answer, len(instances))
	var asked sync.WaitGroup
	for i, instance := range instances {
		asked.Go(func() { results[i] = s.one(ctx, instance) })
	}
	var self operations.Answer
	if s.Self != nil {
		self = s.Self(ctx)
	}
	asked.Wait()
	if s.Self != nil && (len(services) == 0 || slices.Contains(services, self.Service)) {
		return operations.WithSelf(results, self), nil
	}
	return results, nil
}

func (s *Overview) one(ctx context.Context, i operations.Instance) operations.Answer {
	within, cancel := context.WithTimeout(ctx, instanceTimeout)
	defer cancel()
	status, err := s.Instances.Status(within, i)
	if err != nil && ctx.Err() == nil { // otherwise the caller has gone
		s.Report(ctx, fmt.Errorf("%s %s cannot be asked: %w", i.Service, i.Name, err))
	}
	answer := operations.Answer{Instance: i, Status: status, Trouble: troubleOf(err)}
	var gone *ports.GoneError
	if errors.As(err, &gone) {
		answer.GoneSince = gone.Since
	}
	return answer
}

func troubleOf(err error) operations.Trouble {
	var gone *ports.GoneError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &gone):
		return operations.Gone
	case errors.Is(err, context.DeadlineExceeded):
		return operations.TooSlow
	case errors.Is(err, ports.ErrRefused):
		return operations.Refused
	case errors.Is(err, ports.ErrBadAnswer):
		return operations.BadAnswer
	default:
		return operations.NoConnection
	}
}
