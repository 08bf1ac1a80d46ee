package cases

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/ports"
)

// askWithin is how long one instance may take to answer. All are asked at once, so it is how long everything takes.
const instanceTimeout = time.Second

// Service asks the instances.
type Overview struct {
	Instances ports.Instances
	Report    ports.Report // is told why an instance could not be asked
}

// Ask answers what each instance knows of itself, or why it could not be asked, in the order of ports.Instances. An instance in trouble is
// no error. FORBIDDEN for who is no member of staff, whatever permissions he was given.
func (s *Overview) Ask(ctx context.Context, p auth.Principal) ([]operations.Answer, error) {
	if !p.Staff() {
		return nil, fault.New(fault.PermissionDenied)
	}
	instances := s.Instances.All()
	answers := make([]operations.Answer, len(instances))
	var asked sync.WaitGroup
	for i, instance := range instances {
		asked.Go(func() { answers[i] = s.one(ctx, instance) })
	}
	asked.Wait()
	return answers, nil
}

func (s *Overview) one(ctx context.Context, i operations.Instance) operations.Answer {
	within, cancel := context.WithTimeout(ctx, instanceTimeout)
	defer cancel()
	status, err := s.Instances.Status(within, i)
	if err != nil && ctx.Err() == nil { // else it is the caller who is gone
		s.Report(ctx, fmt.Errorf("%s %s cannot be asked: %w", i.Service, i.Name, err))
	}
	return operations.Answer{Instance: i, Status: status, Trouble: troubleOf(err)}
}

func troubleOf(err error) operations.Trouble {
	switch {
	case err == nil:
		return ""
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
