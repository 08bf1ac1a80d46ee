// Package change is UFR-PROD-030 and UFR-PROD-040: check a plan change, request it, carry it out exactly once. Begin
// with Request (request.go).
package change

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"phonebill/core/auth"
	"phonebill/core/auth/holder"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/core/request/lifecycle"
	"phonebill/ports"
)

// Limits are the times of one change (S-ANSWER).
type Limits struct {
	Answer time.Duration // the customer has an answer by then, be it 202
	Send   time.Duration // one change call to KOS
	Ask    time.Duration // one query about an order in the background
	Lease  time.Duration // longer than everything one step may take
}

// DefaultLimits returns the answer budget, 5 s, 10 s, 15 s.
func DefaultLimits() Limits {
	return Limits{Answer: request.AnswerBudget, Send: 5 * time.Second, Ask: 10 * time.Second, Lease: 15 * time.Second}
}

// Service carries out plan changes. It is safe for concurrent use.
type Service struct {
	FactsForPreview   *catalog.Facts // for a check alone, while the customer waits; spends nothing reserved for orders
	FactsForOrder     *catalog.Facts // for an order, while the customer waits
	FactsInBackground *catalog.Facts // for an order in the background, with more time

	KOS        ports.PlanChanger
	Orders     ports.Orders
	Holders    *holder.Service // whose the lines are
	Epochs     ports.Epochs
	Policy     product.Policy
	Allowances ports.Allowances // of the customers
	Limits     Limits
	Now        ports.Clock
	NewID      ports.IDs
	Report     ports.Report // errors that do not reach the customer, since the order goes on

	// Parked is called with an order that is left to a person from now on; nil = not called.
	Parked func(ctx context.Context, o product.Order)

	running              sync.WaitGroup  // orders that outlive their customer's request
	board                lifecycle.Board // where orders are waited for
	newOrdersPausedUntil atomic.Int64    // until then (ns since 1970) new orders are left alone
	slow                 slowMode        // of orders that are begun
}

// PreCheck runs the three checks on facts that are a few seconds old at most; SERVICE_UNAVAILABLE when KOS cannot be
// asked and RATE_LIMIT_EXCEEDED when the customer's allowance is spent, which are never failed checks.
func (s *Service) PreCheck(ctx context.Context, p auth.Principal, c Command) (product.Verdict, error) {
	if err := p.Owns(c.Line); err != nil {
		return product.Verdict{}, err
	}
	call := ports.Call{Payer: ports.Payer{Customer: p.UserID}}
	account := auth.Holder{UserID: p.UserID, CustomerID: p.CustomerID}
	known, err := s.facts(ctx, call, s.FactsForPreview.ForCheck, c.Line, account)
	if err != nil {
		return product.Verdict{}, err
	}
	return product.PreCheck(known, c.From, c.To), nil
}

// factsOf returns what a check judges, as fresh as it needs it.
type factsOf func(ctx context.Context, call ports.Call, n line.Number) (product.Customer, product.PlansCopy, error)

// errNoStatus is the cause of the error for a line that KOS describes without its status. That is no failed check.
var errNoStatus = errors.New("change: KOS does not say whether the line is in use")

// facts are those of KOS, and of our own orders where the operator's rules need them; SERVICE_UNAVAILABLE also when KOS
// leaves out whether the line is in use, and LINE_NOT_FOUND when KOS names another customer than the account's for it.
func (s *Service) facts(
	ctx context.Context, call ports.Call, from factsOf, n line.Number, of auth.Holder,
) (f product.Facts, err error) {
	f.Customer, f.Plans, err = from(ctx, call, n)
	if err == nil {
		err = s.Holders.Check(ctx, of, n, f.Customer.CustomerID)
	}
	if err == nil && f.Customer.LineStatus == "" {
		err = fault.New(fault.ServiceUnavailable).Because(errNoStatus)
	}
	if err != nil || !s.Policy.OnceAMonth {
		return f, err
	}
	f.Spent, err = s.Orders.ChangedSince(ctx, n, calendar.MonthOf(s.Now()).First().Start())
	return f, err
}

// advance carries a leased order as far as it goes now. What is stored is where it stops, and that it is DISPATCHED
// before the wire is touched; that a check has passed is not stored by itself when the order is sent right after it.
func (s *Service) advance(
	ctx context.Context, o product.Order, known *catalog.Facts, payer ports.Payer,
) (product.Order, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Limits.Lease) // later the lease is lost anyway
	defer cancel()
	call := ports.Call{Lane: quota.Change, RequestID: o.ID, Payer: payer}
	switch o.State {
	case product.Requested, product.Validated:
		if o.ToCheck(s.Now()) {
			return s.checkAndSend(ctx, call, o, known)
		}
		return s.send(ctx, call, o)
	case product.Dispatched: // cut off while sending: what came of it is not known
		return s.settle(ctx, o, product.Answer{Kind: product.AnswerUnknown})
	case product.Unknown:
		asking, cancel := context.WithTimeout(ctx, s.Limits.Ask)
		defer cancel()
		return s.settle(ctx, o, s.ask(asking, call, o))
	case product.Parked, product.Completed, product.Failed, product.Cancelled:
		return o, nil
	default:
		return o, nil
	}
}

func (s *Service) checkAndSend(
	ctx context.Context, call ports.Call, o product.Order, known *catalog.Facts,
) (product.Order, error) {
	seen, err := s.facts(ctx, call, known.ForChange, o.Line, o.Account())
	if err != nil {
		return s.postpone(ctx, o, fault.From(err))
	}
	o = o.WithPlanNames(seen.Plans, seen.Customer)
	o, err = o.ApplyVerdict(product.PreCheck(seen, o.From, o.To), s.Now())
	switch {
	case err != nil:
		return o, err
	case o.State != product.Validated:
		return s.save(ctx, o)
	}
	return s.send(ctx, call, o)
}

// ask returns what became of the order's transaction: by KOS's answer, or by the line's plans where this KOS lacks that
// query.
func (s *Service) ask(ctx context.Context, call ports.Call, o product.Order) product.Answer {
	a := s.KOS.AskStatus(ctx, call, o)
	if a.Kind != product.AnswerNoQuery {
		return a
	}
	seen, err := s.FactsInBackground.CustomerNow(ctx, call, o.Line)
	if err == nil {
		err = s.Holders.Check(ctx, o.Account(), o.Line, seen.Customer.CustomerID)
	}
	switch {
	case err == nil:
		return o.InferFromPlans(seen.Customer, s.Now())
	case errors.Is(err, ports.ErrNotAsked):
		return product.Answer{
			Kind: product.AnswerNotSent, RetryAfter: fault.From(err).RetryAfter(), Why: ports.NotAskedReason(err),
		}
	case errors.Is(err, fault.New(fault.LineNotFound)):
		// KOS had the line at the check; or the plans are another customer's.
		return product.Answer{Kind: product.AnswerAmbiguous}
	default: // KOS did not say, or it is not known now whose the line is
		return product.Answer{Kind: product.AnswerUnknown}
	}
}

// send makes one attempt on the wire.
func (s *Service) send(ctx context.Context, call ports.Call, o product.Order) (product.Order, error) {
	if o.Overdue(s.Now()) {
		o = o.Renew(s.NewID(), s.Now())
	}
	o, err := o.Send()
	if err != nil {
		return o, err
	}
	o.NextAttemptAt = s.Now().Add(s.Limits.Lease)
	o, err = s.save(ctx, o) // stored before the wire is touched (ADR 21)
	if err != nil {
		return o, err
	}
	if payer := call.Payer; payer.Customer != "" && !payer.Prepaid.Take() {
		s.Allowances.Count(ctx, payer.Customer)
	}
	call.Attempt, call.NotAfter = o.Sends, o.NextAttemptAt
	sending, cancel := context.WithTimeout(ctx, s.Limits.Send)
	defer cancel()
	return s.settle(ctx, o, s.KOS.Change(sending, call, o))
}

// postpone puts off an order whose check could not be made: KOS out of reach is never a failed check. It ends an order
// whose line KOS does not know.
func (s *Service) postpone(ctx context.Context, o product.Order, f *fault.Error) (product.Order, error) {
	if f.Code() != fault.LineNotFound {
		if errors.Is(f, ports.ErrNotAsked) {
			o = o.WaitForKOS(f.RetryAfter(), s.Now())
		} else {
			o = o.Recheck(s.Now())
		}
		o.Note = ports.NotAskedReason(f)
		return s.save(ctx, o)
	}
	o, err := o.FailUnknownLine(s.Now())
	if err != nil {
		return o, err
	}
	return s.save(ctx, o)
}

// settle stores what KOS's answer makes of the order. The line's copies are hidden first: an order shown as done never
// stands beside facts older than it (ADR 6). Should that fail, the order stays open and is asked about again.
func (s *Service) settle(ctx context.Context, o product.Order, a product.Answer) (product.Order, error) {
	o, err := o.ApplyAnswer(a, s.Now())
	if err != nil {
		return o, err
	}
	if o.State == product.Completed {
		if err := s.Epochs.Raise(ctx, o.Line, s.Now().Add(freshness.Skew)); err != nil {
			return o, err
		}
	}
	o, err = s.save(ctx, o)
	if err == nil && o.State == product.Parked && s.Parked != nil {
		s.Parked(ctx, o)
	}
	return o, err
}

// Get returns the caller's order, waiting up to wait for it to become final; NOT_FOUND when it is another customer's
// (ADR 17).
func (s *Service) Get(ctx context.Context, p auth.Principal, order id.ID, wait time.Duration) (product.Order, error) {
	return lifecycle.PollUntil(ctx, &s.board, order, wait, func(ctx context.Context) (product.Order, bool, error) {
		o, err := s.own(ctx, p, order)
		return o, o.State.Final(), err
	})
}

// save stores the order's progress and notifies those who wait for it.
func (s *Service) save(ctx context.Context, o product.Order) (product.Order, error) {
	o, err := s.Orders.Save(ctx, o, s.Now())
	if err == nil {
		s.board.Publish(o.ID)
	}
	return o, err
}

// EffectiveDays are the days that a change may take effect if it is asked for now, the default first.
func (s *Service) EffectiveDays() []calendar.Date { return s.Policy.Days(s.Now()) }

// History returns one page of the caller's own orders, newest first, and how many there are; FORBIDDEN when f names a
// line that is not the caller's.
func (s *Service) History(
	ctx context.Context, p auth.Principal, f product.HistoryFilter,
) ([]product.Order, int, error) {
	var err error
	if f.Lines, err = p.OwnLines(f.Lines); err != nil {
		return nil, 0, err
	}
	f.UserID = p.UserID
	return s.Orders.History(ctx, f)
}

// Step takes up to n orders that are due and carries each on, first those that are begun, then new ones; it returns
// how many it took. The worker calls it repeatedly, in several loops. When KOS can be asked about none of several new
// ones, new ones rest until it can, in all loops; with n = 1 they never do, for of one order alone it is not known
// whether KOS is away or fails on the line. When KOS does not answer about those that are begun, they go on one
// at a time (slowMode).
func (s *Service) Step(ctx context.Context, n int) (int, error) {
	begun, err := s.carryOnBegun(ctx, n)
	if err != nil || s.Now().UnixNano() < s.newOrdersPausedUntil.Load() {
		return begun, err
	}
	fresh, steps, err := s.carryOn(ctx, product.New, n)
	var unsent []product.Order // KOS could not be asked about them
	for _, o := range steps {
		if o.after.WaitingForKOS && o.after.Note != "" {
			unsent = append(unsent, o.after)
		}
	}
	if fresh > 1 && len(unsent) == fresh {
		soonest := slices.MinFunc(unsent, func(a, b product.Order) int { return a.NextAttemptAt.Compare(b.NextAttemptAt) })
		s.newOrdersPausedUntil.Store(soonest.NextAttemptAt.UnixNano())
	}
	return begun + fresh, err
}

// carryOnBegun carries on orders that are begun, as many as KOS's state allows.
func (s *Service) carryOnBegun(ctx context.Context, n int) (took int, err error) {
	n = s.slow.admit(n, s.Now(), s.Limits.Lease)
	if n == 0 {
		return 0, nil
	}
	took, steps, err := s.carryOn(ctx, product.Begun, n)
	s.slow.report(steps, s.Now())
	return took, err
}

// carryOn takes orders of the queue and carries each on; steps are those that met no error of our own.
func (s *Service) carryOn(ctx context.Context, q product.Queue, n int) (took int, steps []step, err error) {
	due, err := s.Orders.Claim(ctx, q, s.Now(), s.Limits.Lease, n)
	if err != nil {
		return 0, nil, err
	}
	after, errs := lifecycle.Each(due, func(o product.Order) (product.Order, error) {
		return s.advance(ctx, o, s.FactsInBackground, ports.Payer{})
	})
	for i, o := range due {
		if errs[i] == nil {
			steps = append(steps, step{o, after[i]})
		}
	}
	return len(due), steps, errors.Join(errs...)
}

// Wait blocks until no order outlives its customer's request any more. Call it after the listener is closed.
func (s *Service) Wait() { s.running.Wait() }
