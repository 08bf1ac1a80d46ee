package memory

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// orderDecisions is stored in addition to the rows of Orders: when an order was parked, the decisions about it, and
// which customers must be notified.
type orderDecisions struct {
	parkedAt  map[id.ID]time.Time
	proposals map[id.ID]product.Resolution
	notices   map[id.ID]notice
}

type notice struct {
	due      time.Time
	attempts int
}

// saved takes note of an order that is stored.
func (a *orderDecisions) saved(o product.Order) {
	a.ready()
	switch {
	case o.State == product.Parked:
		a.parkedAt[o.ID] = time.Now()
	case o.State.Final():
		a.notices[o.ID] = notice{due: o.ProcessedAt}
	}
}

func (a *orderDecisions) ready() {
	if a.parkedAt == nil {
		*a = orderDecisions{map[id.ID]time.Time{}, map[id.ID]product.Resolution{}, map[id.ID]notice{}}
	}
}

// ParkedOrders implements ports.ParkedOrders on the rows of Orders.
type ParkedOrders struct{ rows *Orders }

var _ ports.ParkedOrders = (*ParkedOrders)(nil)

// Parked returns the parked ones of the same rows.
func (s *Orders) Parked() *ParkedOrders { return &ParkedOrders{s} }

// List returns one page.
func (p *ParkedOrders) List(_ context.Context, number, size int) ([]product.ParkedOrder, int, error) {
	p.rows.mu.Lock()
	defer p.rows.mu.Unlock()
	var all []product.ParkedOrder
	for _, o := range p.rows.m {
		if o.State == product.Parked {
			all = append(all, product.ParkedOrder{
				ID: o.ID, TransactionID: o.TransactionID, Line: o.Line.String(), From: o.From, To: o.To,
				EffectiveDate: o.EffectiveDate, RequestedAt: o.RequestedAt, ParkedAt: p.rows.after.parkedAt[o.ID], Sends: o.Sends,
				Reconciles: o.Silences, KOSOrder: o.KOSOrder, Proposal: p.rows.after.proposals[o.ID],
			})
		}
	}
	slices.SortFunc(all, func(a, b product.ParkedOrder) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return page(all, number, size), len(all), nil
}

// Resolve judges a resolution and carries it out.
func (p *ParkedOrders) Resolve(
	ctx context.Context, order id.ID, r product.Resolution, beforeDone func(context.Context, product.Order) error,
) (product.Judgement, error) {
	p.rows.mu.Lock()
	defer p.rows.mu.Unlock()
	p.rows.after.ready()
	o, err := found(p.rows.m, order)
	if err != nil {
		return product.Proposed, err
	}
	if o, err = o.Resolve(r); err != nil {
		return product.Proposed, err
	}
	verdict, err := r.Judge(p.rows.after.proposals[order])
	if err != nil || verdict == product.Proposed {
		if err == nil {
			p.rows.after.proposals[order] = r
		}
		return verdict, err
	}
	if o.State == product.Completed {
		if err := beforeDone(ctx, o); err != nil {
			return verdict, err
		}
	}
	delete(p.rows.after.proposals, order)
	_, err = p.rows.save(o)
	return verdict, err
}

// Notices implements ports.Notices on the rows of Orders.
type Notices struct{ rows *Orders }

var _ ports.Notices = (*Notices)(nil)

// Notices returns the ended ones of the same rows.
func (s *Orders) Notices() *Notices { return &Notices{s} }

// Claim leases what is due.
func (s *Notices) Claim(_ context.Context, now time.Time, lease time.Duration, n int) ([]product.Notice, error) {
	s.rows.mu.Lock()
	defer s.rows.mu.Unlock()
	notices := s.rows.after.notices
	var due []id.ID
	for of, n := range notices {
		if !n.due.After(now) {
			due = append(due, of)
		}
	}
	slices.SortFunc(due, func(a, b id.ID) int { return notices[a].due.Compare(notices[b].due) })
	claimed := make([]product.Notice, min(n, len(due)))
	for i := range claimed {
		attempts := notices[due[i]].attempts
		claimed[i] = product.Notice{Order: s.rows.m[due[i]], Attempts: attempts, Lease: now.Add(lease)}
		notices[due[i]] = notice{now.Add(lease), attempts}
	}
	return claimed, nil
}

// Notified deletes a notice.
func (s *Notices) Notified(_ context.Context, n product.Notice, _ time.Time) error {
	return s.settle(n, func(notice) { delete(s.rows.after.notices, n.Order.ID) })
}

// Failed has a notice due again.
func (s *Notices) Failed(_ context.Context, n product.Notice, next time.Time) error {
	return s.settle(n, func(held notice) { s.rows.after.notices[n.Order.ID] = notice{next, held.attempts + 1} })
}

func (s *Notices) settle(n product.Notice, with func(notice)) error {
	s.rows.mu.Lock()
	defer s.rows.mu.Unlock()
	held, ok := s.rows.after.notices[n.Order.ID]
	if !ok || !held.due.Equal(n.Lease) {
		return fault.New(fault.StateConflict)
	}
	with(held)
	return nil
}

// Notifier implements ports.Notifier: it remembers.
type Notifier struct {
	mu       sync.Mutex
	notified []product.Order
	errs     []error // of the next attempts
}

// Fail makes the next attempts err.
func (n *Notifier) Fail(errs ...error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errs = append(n.errs, errs...)
}

// ChangeEnded remembers the order.
func (n *Notifier) ChangeEnded(_ context.Context, o product.Order) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.errs) > 0 {
		err := n.errs[0]
		n.errs = n.errs[1:]
		return err
	}
	n.notified = append(n.notified, o)
	return nil
}

// Notified returns a copy of all notifications, oldest first.
func (n *Notifier) Notified() []product.Order {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.notified)
}
