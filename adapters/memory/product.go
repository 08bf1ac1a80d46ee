package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/ports"
)

// Customers implements ports.Customers. Epochs may be nil.
type Customers struct {
	Epochs ports.Epochs
	mu     sync.Mutex
	m      map[line.Number]product.CustomerCopy
}

// Latest returns the copy unless it is older than the line's epoch.
func (c *Customers) Latest(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	epoch, err := epochOf(ctx, c.Epochs, n)
	if err != nil {
		return product.CustomerCopy{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	held, err := found(c.m, n)
	if err != nil || held.AsOf.Before(epoch) {
		return product.CustomerCopy{}, fault.New(fault.ResourceNotFound)
	}
	return held, nil
}

// LatestCommitted is Latest, which never lags here.
func (c *Customers) LatestCommitted(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	return c.Latest(ctx, n)
}

// Put replaces the copy unless the stored one is newer.
func (c *Customers) Put(_ context.Context, told product.CustomerCopy) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[line.Number]product.CustomerCopy{}
	}
	if n := told.Customer.Line; !c.m[n].AsOf.After(told.AsOf) {
		c.m[n] = told
	}
	return nil
}

// Plans implements ports.Plans.
type Plans struct {
	mu   sync.Mutex
	held product.PlansCopy
}

// Latest returns the copy, or NOT_FOUND.
func (p *Plans) Latest(context.Context) (product.PlansCopy, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held.AsOf.IsZero() {
		return product.PlansCopy{}, fault.New(fault.ResourceNotFound)
	}
	return p.held, nil
}

// LatestCommitted is Latest, which never lags here.
func (p *Plans) LatestCommitted(ctx context.Context) (product.PlansCopy, error) { return p.Latest(ctx) }

// Put replaces the copy unless the stored one is newer.
func (p *Plans) Put(_ context.Context, told product.PlansCopy) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.held.AsOf.After(told.AsOf) {
		p.held = told
	}
	return nil
}

func epochOf(ctx context.Context, epochs ports.Epochs, n line.Number) (time.Time, error) {
	if epochs == nil {
		return time.Time{}, nil
	}
	return epochs.Of(ctx, n)
}

// Orders implements ports.Orders; its Outbox implements ports.Outbox[ports.ChangeResult].
type Orders struct {
	mu    sync.Mutex
	m     map[id.ID]product.Order
	queue map[id.ID]queued // of m, those that wait in a queue: an index, for workers look often
	keys  IdempotencyKeys
	out   outbox
	after orderDecisions
}

type queued struct {
	state product.State
	at    time.Time
}

func (s *Orders) put(o product.Order) {
	if s.m == nil {
		s.m, s.queue = map[id.ID]product.Order{}, map[id.ID]queued{}
	}
	s.m[o.ID] = o
	if product.New.Of(o.State) || product.Begun.Of(o.State) {
		s.queue[o.ID] = queued{o.State, o.NextAttemptAt}
	} else {
		delete(s.queue, o.ID)
	}
}

// Add stores a new order and takes the line's live slot and the key.
func (s *Orders) Add(_ context.Context, o product.Order, u request.KeyUse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.keys.used(u, u.At.Add(-request.KeyWindow)); err == nil && !u.Key.IsZero() {
		return ports.ErrKeyUsed
	}
	if _, err := s.live(o.Line); err == nil {
		return fault.New(fault.ChangeInProgress)
	}
	s.put(o)
	if !u.Key.IsZero() {
		s.keys.put(u)
	}
	return nil
}

// Used answers what the key stands for.
func (s *Orders) Used(_ context.Context, u request.KeyUse, since time.Time) (request.KeyUse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys.used(u, since)
}

func (s *Orders) live(n line.Number) (product.Order, error) {
	for _, o := range s.m {
		if o.Line == n && !o.State.Final() {
			return o, nil
		}
	}
	return product.Order{}, fault.New(fault.ResourceNotFound)
}

// Live answers the line's order that is not final.
func (s *Orders) Live(_ context.Context, n line.Number) (product.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live(n)
}

// Get answers the order, or NOT_FOUND.
func (s *Orders) Get(_ context.Context, order id.ID) (product.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return found(s.m, order)
}

// Save stores progress unless the row is final, written since or claimed since.
func (s *Orders) Save(_ context.Context, o product.Order, _ time.Time) (product.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save(o)
}

func (s *Orders) save(o product.Order) (product.Order, error) {
	old, ok := s.m[o.ID]
	if !ok || old.State.Final() || old.Fence != o.Fence || old.Version != o.Version ||
		old.Sends > 0 && (old.TransactionID != o.TransactionID || o.State == product.Cancelled) {
		return o, fault.New(fault.StateConflict)
	}
	o.Version++
	s.put(o)
	s.after.saved(o)
	if o.State.Final() {
		s.out.due(o.ID, o.Line.Digits(), o.Line.String(), o.ProcessedAt)
	}
	return o, nil
}

// ChangedSince looks for completed orders of the line.
func (s *Orders) ChangedSince(_ context.Context, n line.Number, since time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.m {
		if o.Line == n && o.State == product.Completed && !o.ProcessedAt.Before(since) {
			return true, nil
		}
	}
	return false, nil
}

// Claim leases live orders that are due.
func (s *Orders) Claim(
	_ context.Context, q product.Queue, now time.Time, lease time.Duration, n int,
) ([]product.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []product.Order
	for order, waits := range s.queue {
		if q.Of(waits.state) && !waits.at.After(now) {
			due = append(due, s.m[order])
		}
	}
	slices.SortFunc(due, func(a, b product.Order) int { return a.NextAttemptAt.Compare(b.NextAttemptAt) })
	due = due[:min(n, len(due))]
	for k := range due {
		due[k].Fence++
		due[k].Version++
		due[k].NextAttemptAt = now.Add(lease)
		s.put(due[k])
	}
	return due, nil
}

// History answers one page.
func (s *Orders) History(_ context.Context, f product.HistoryFilter) ([]product.Order, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []product.Order
	for _, o := range s.m {
		if o.UserID == f.UserID && slices.Contains(f.Lines, o.Line) && within(o.RequestedAt, f.From, f.To) &&
			(f.Status == "" || f.Status == o.Public()) {
			rows = append(rows, o)
		}
	}
	slices.SortFunc(rows, func(a, b product.Order) int {
		return newestFirst(a.RequestedAt, b.RequestedAt, a.ID, b.ID)
	})
	return page(rows, f.Page, f.Size), len(rows), nil
}

// Outbox answers the delivery side of the same rows.
func (s *Orders) Outbox() *ChangeOutbox { return &ChangeOutbox{s} }

// ChangeOutbox implements ports.Outbox[ports.ChangeResult] on the rows of Orders.
type ChangeOutbox struct{ rows *Orders }

// Claim leases lines with results to tell.
func (c *ChangeOutbox) Claim(
	_ context.Context, now time.Time, lease time.Duration, lines, each int,
) ([][]delivery.Item[ports.ChangeResult], error) {
	c.rows.mu.Lock()
	defer c.rows.mu.Unlock()
	return items(c.rows.out.claim(now, now.Add(lease), lines, each), func(row id.ID) (ports.ChangeResult, *delivery.Attempt) {
		return ports.ChangeResult{Order: c.rows.m[row]}, nil
	}), nil
}

// Settle records what became of claimed results.
func (c *ChangeOutbox) Settle(_ context.Context, now time.Time, items ...delivery.AttemptResult) error {
	c.rows.mu.Lock()
	defer c.rows.mu.Unlock()
	return c.rows.out.settle(now, items)
}
