// Package lifecycle carries requests of a product from their acceptance to their end: tried within the answer budget,
// else carried on in the background under a lease, waited for, replayed, parked, resumed. It is for products that keep
// nothing but the request itself (docs/adding-a-product.md); bill inquiries and plan changes compose the same parts by
// themselves (docs/adr/0031-one-request-frame.md). Begin with Service.Accept (lifecycle.go).
package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/ports"
)

// Service is the life of one product's requests. All fields but Parked are required; it is safe for concurrent use, in
// any number of instances on one store.
type Service struct {
	Store ports.RequestStore
	// Attempt makes one attempt. It is the only place where the frame asks the product for anything (Parked only
	// notifies it). It must be safe to repeat: a worker may die after it and before its outcome is stored.
	Attempt func(ctx context.Context, call ports.Call, r request.Request) request.Outcome
	Lane    quota.Lane // of attempts while the customer waits; later ones are made in the refresh lane
	Retry   request.Retry
	Timeout time.Duration // of one attempt; the lease is longer by leaseMargin
	Now     ports.Clock
	Random  ports.Random
	NewID   ports.IDs
	Report  ports.Report
	Parked  func(ctx context.Context, r request.Request) // is called for each request that is parked; nil = none

	board   Board
	running sync.WaitGroup // attempts that outlive the answer to their customer
}

// leaseMargin is the time to store an outcome before the lease of its attempt ends.
const leaseMargin = 5 * time.Second

// Accept stores a new request and makes its first attempt. It returns the request as it is when it is final or the
// answer budget is spent, whichever comes first. A key that was used returns the request it stands for, with replayed
// set, or IDEMPOTENCY_KEY_REUSED. The caller has checked that the user may ask for the subject.
func (s *Service) Accept(
	ctx context.Context, r request.Request, key request.Key,
) (accepted request.Request, replayed bool, err error) {
	now := s.Now()
	r.ID, r.Status, r.RequestedAt, r.Attempts = s.NewID(), request.Processing, now, 1
	r.NextAttemptAt, r.TraceID = now.Add(s.Timeout+leaseMargin), ports.TraceOf(ctx).TraceID
	use := request.KeyUse{
		User: r.UserID, Key: key, Payload: request.PayloadOf(string(r.Kind), string(r.Subject), string(r.Payload)),
		Request: r.ID, At: now,
	}
	switch err := s.Store.Add(ctx, r, use); {
	case errors.Is(err, ports.ErrKeyUsed):
		r, err = s.replay(ctx, use)
		return r, err == nil, err
	case err != nil:
		return request.Request{}, false, err
	}
	return s.withinBudget(ctx, r), false, nil
}

// replay returns the request that the key stands for.
func (s *Service) replay(ctx context.Context, use request.KeyUse) (request.Request, error) {
	first, err := s.Store.Used(ctx, use, use.At.Add(-request.KeyWindow))
	if err != nil {
		return request.Request{}, err
	}
	if err := use.Repeats(first); err != nil {
		return request.Request{}, err
	}
	return s.Store.Get(ctx, first.Request)
}

// withinBudget makes the first attempt and waits for its outcome until the answer budget is spent. The attempt goes on
// when the customer is answered or gone.
func (s *Service) withinBudget(ctx context.Context, r request.Request) request.Request {
	attempt := StartDetached(&s.running, func() request.Request {
		after, err := s.attempt(context.WithoutCancel(ctx), r, s.Lane)
		if err != nil {
			s.Report(ctx, err)
			return r // the worker makes the next attempt when the lease is over
		}
		return after
	}, func(request.Request) {})
	defer attempt.Leave()
	now := s.Now()
	if after, ended := attempt.WaitFor(TimeLeft(ctx, request.AnswerBudget-now.Sub(r.RequestedAt), now)); ended {
		return after
	}
	return r
}

// attempt makes one attempt and stores its outcome.
func (s *Service) attempt(ctx context.Context, r request.Request, lane quota.Lane) (request.Request, error) {
	within, cancel := context.WithTimeout(ctx, s.Timeout)
	o := s.Attempt(within, ports.Call{
		Lane: lane, RequestID: r.ID, Attempt: r.Attempts, NotAfter: s.Now().Add(s.Timeout),
	}, r)
	cancel()
	return s.save(ctx, r.After(o, s.Retry, s.Now(), s.Random()))
}

// save stores a request and notifies those who wait for it.
func (s *Service) save(ctx context.Context, r request.Request) (request.Request, error) {
	ctx, cancel := ports.RecordContext(ctx)
	defer cancel()
	if err := s.Store.Save(ctx, r); err != nil {
		return r, err
	}
	s.board.Publish(r.ID)
	if r.Status == request.Parked && s.Parked != nil {
		s.Parked(ctx, r)
	}
	return r, nil
}

// Get returns the user's request, waiting up to wait until it is final or parked; NOT_FOUND also for another user's.
func (s *Service) Get(ctx context.Context, user auth.UserID, r id.ID, wait time.Duration) (request.Request, error) {
	return PollUntil(ctx, &s.board, r, wait, func(ctx context.Context) (request.Request, bool, error) {
		found, err := s.Store.Get(ctx, r)
		if err == nil && found.UserID != user {
			err = fault.New(fault.ResourceNotFound)
		}
		return found, found.Status != request.Processing, err
	})
}

// Step claims up to n requests that are due and makes one attempt for each; it returns their number. The worker calls
// it again and again.
func (s *Service) Step(ctx context.Context, n int) (int, error) {
	due, err := s.Store.Claim(ctx, s.Now(), s.Timeout+leaseMargin, n)
	if err != nil {
		return 0, err
	}
	_, errs := Each(due, func(r request.Request) (request.Request, error) {
		after, err := s.attempt(ctx, r, quota.Refresh)
		if errors.Is(err, fault.New(fault.StateConflict)) {
			err = nil // another worker goes on with it
		}
		return after, err
	})
	return len(due), errors.Join(errs...)
}

// Cancel ends the user's request. CONFLICT when it is final or an attempt is being made, NOT_FOUND for another user's.
func (s *Service) Cancel(ctx context.Context, user auth.UserID, r id.ID) (request.Request, error) {
	found, err := s.Get(ctx, user, r, 0)
	if err != nil {
		return found, err
	}
	if found.Status != request.Parked {
		return found, fault.New(fault.StateConflict)
	}
	return s.save(ctx, found.After(request.Outcome{Status: request.Cancelled}, s.Retry, s.Now(), 0))
}

// Resume makes a parked request due again; staff call it. CONFLICT when it is not parked.
func (s *Service) Resume(ctx context.Context, r id.ID) error {
	found, err := s.Store.Get(ctx, r)
	if err != nil {
		return err
	}
	if found, err = found.Resumed(s.Now()); err != nil {
		return err
	}
	_, err = s.save(ctx, found)
	return err
}

// Wait returns when no attempt outlives its customer any more; call it after the listener is closed.
func (s *Service) Wait() { s.running.Wait() }
