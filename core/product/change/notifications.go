package change

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/product"
	"phonebill/ports"
)

// Notifications sends the notices about changes that have ended. All fields are required; it is safe for concurrent
// use, in any number of instances.
type Notifications struct {
	Notices  ports.Notices
	Notifier ports.Notifier
	Now      ports.Clock
	Random   ports.Random
	Lease    time.Duration // longer than Attempt; another instance sends the notices of one that has died after it
	Attempt  time.Duration // one attempt to send
}

// Step takes up to n notices that are due, sends them all at once, and returns how many it took. The worker calls it
// repeatedly.
func (s *Notifications) Step(ctx context.Context, n int) (int, error) {
	due, unread := s.Notices.Claim(ctx, s.Now(), s.Lease, n)
	errs := make([]error, len(due))
	var all sync.WaitGroup
	for i, notice := range due {
		all.Go(func() { errs[i] = s.send(ctx, notice) })
	}
	all.Wait()
	return len(due), errors.Join(append(errs, unread)...)
}

// send makes one attempt. A notice that was sent and cannot be deleted is sent again after the lease.
func (s *Notifications) send(ctx context.Context, n product.Notice) error {
	attempt, cancel := context.WithTimeout(ctx, s.Attempt)
	defer cancel()
	err := s.Notifier.ChangeEnded(attempt, n.Order)
	after, done := context.WithTimeout(context.WithoutCancel(ctx), s.Attempt) // a process that ends sends none twice
	defer done()
	if err != nil {
		return errors.Join(err, s.Notices.Failed(after, n, s.Now().Add(n.Wait(s.Random()))))
	}
	return s.Notices.Notified(after, n, s.Now())
}
