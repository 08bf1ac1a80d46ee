package memory

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/request"
	"phonebill/ports"
)

// Requests implements ports.RequestStore. The zero value is ready; it is safe for concurrent use.
type Requests struct {
	mu   sync.Mutex
	m    map[id.ID]request.Request
	keys IdempotencyKeys
	out  outbox
}

var _ ports.RequestStore = (*Requests)(nil)

// Add stores a new request, and its key.
func (s *Requests) Add(ctx context.Context, r request.Request, u request.KeyUse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !u.Key.IsZero() {
		first, err := s.keys.Claim(ctx, u, u.At.Add(-request.KeyWindow), id.ID{})
		if err != nil {
			return err
		}
		if first.Request != u.Request {
			return ports.ErrKeyUsed
		}
	}
	if s.m == nil {
		s.m = map[id.ID]request.Request{}
	}
	s.m[r.ID] = r
	return nil
}

// Used returns what the key stands for.
func (s *Requests) Used(_ context.Context, u request.KeyUse, since time.Time) (request.KeyUse, error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	return s.keys.used(u, since)
}

// Get returns the request, or NOT_FOUND.
func (s *Requests) Get(_ context.Context, r id.ID) (request.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return found(s.m, r)
}

// Save stores progress of a request that is not final under the fence.
func (s *Requests) Save(_ context.Context, r request.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, err := found(s.m, r.ID)
	if err != nil || stored.Status.Final() || stored.Fence != r.Fence {
		return fault.New(fault.StateConflict)
	}
	s.m[r.ID] = r
	if r.Status.Final() {
		s.out.due(r.ID, string(r.Subject), string(r.Subject), r.ProcessedAt)
	}
	return nil
}

// Claim leases due requests, the longest due first.
func (s *Requests) Claim(_ context.Context, now time.Time, lease time.Duration, n int) ([]request.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []request.Request
	for _, r := range s.m {
		if r.Status == request.Processing && !r.NextAttemptAt.After(now) {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b request.Request) int { return a.NextAttemptAt.Compare(b.NextAttemptAt) })
	due = due[:min(n, len(due))]
	for i, r := range due {
		r.NextAttemptAt, r.Fence, r.Attempts = now.Add(lease), r.Fence+1, r.Attempts+1
		due[i], s.m[r.ID] = r, r
	}
	return due, nil
}

// Parked returns one page of the parked requests, the oldest first.
func (s *Requests) Parked(_ context.Context, number, size int) ([]request.Request, int, error) {
	all := s.where(func(r request.Request) bool { return r.Status == request.Parked })
	return page(all, number, size), len(all), nil
}

// History returns one page of a user's requests, the newest first.
func (s *Requests) History(_ context.Context, f request.HistoryFilter) ([]request.Request, int, error) {
	all := s.where(func(r request.Request) bool { return r.UserID == f.UserID && r.Subject == f.Subject })
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b request.Request) int { return b.RequestedAt.Compare(a.RequestedAt) })
	return page(all, f.Page, f.Size), len(all), nil
}

// where returns the requests that match, by id.
func (s *Requests) where(matches func(request.Request) bool) (all []request.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.m {
		if matches(r) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b request.Request) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

// RequestOutbox implements ports.Outbox on the rows of Requests.
type RequestOutbox struct{ rows *Requests }

var _ ports.Outbox[ports.RequestResult] = (*RequestOutbox)(nil)

// Outbox returns the outbox of the same rows.
func (s *Requests) Outbox() *RequestOutbox { return &RequestOutbox{s} }

// Claim leases subjects with events to deliver.
func (o *RequestOutbox) Claim(
	_ context.Context, now time.Time, lease time.Duration, subjects, each int,
) ([][]delivery.Item[ports.RequestResult], error) {
	o.rows.mu.Lock()
	defer o.rows.mu.Unlock()
	claimed := o.rows.out.claim(now, now.Add(lease), subjects, each)
	return items(claimed, func(event id.ID) (ports.RequestResult, *delivery.Attempt) {
		return ports.RequestResult{Request: o.rows.m[event]}, nil
	}), nil
}

// Settle records the outcome of claimed events.
func (o *RequestOutbox) Settle(_ context.Context, now time.Time, settled ...delivery.AttemptResult) error {
	o.rows.mu.Lock()
	defer o.rows.mu.Unlock()
	return o.rows.out.settle(now, settled)
}
