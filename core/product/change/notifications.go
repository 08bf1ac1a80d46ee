package change

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/product"
	"phonebill/ports"
)

// Service tells. All fields are required; it is safe for concurrent use, in any number of instances.
type Notifications struct {
	Notices  ports.Notices
	Notifier ports.Notifier
	Now      ports.Clock
	Random   ports.Random
	Lease    time.Duration // longer than Attempt: who dies has his notices told by another one after it
	Attempt  time.Duration // one attempt to tell
}

// Step takes up to n notices that are due and tells them, all at once; it answers how many it took. The worker calls it over and over.
func (s *Notifications) Step(ctx context.Context, n int) (int, error) {
	due, unread := s.Notices.Claim(ctx, s.Now(), s.Lease, n)
	errs := make([]error, len(due))
	var all sync.WaitGroup
	for i, notice := range due {
		all.Go(func() { errs[i] = s.tell(ctx, notice) })
	}
	all.Wait()
	return len(due), errors.Join(append(errs, unread)...)
}

// tell makes one attempt. What was told and cannot be dropped is told again after the lease.
func (s *Notifications) tell(ctx context.Context, n product.Notice) error {
	attempt, cancel := context.WithTimeout(ctx, s.Attempt)
	defer cancel()
	err := s.Notifier.ChangeEnded(attempt, n.Order)
	after, done := context.WithTimeout(context.WithoutCancel(ctx), s.Attempt) // a process that ends has nobody told twice
	defer done()
	if err != nil {
		return errors.Join(err, s.Notices.Failed(after, n, s.Now().Add(n.Wait(s.Random()))))
	}
	return s.Notices.Notified(after, n, s.Now())
}
