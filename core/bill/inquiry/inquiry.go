// Package inquiry is UFR-BILL-010…040: the menu, asking for a bill, its result and the history.
package inquiry

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/fetch"
	"phonebill/core/holder/compare"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/request/longpoll"

	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/ports"
)

// Limits are the times of one inquiry (S-ANSWER).
type Limits struct {
	Answer     time.Duration // the customer has his answer by then, be it 202
	Call       time.Duration // one KOS call while the customer waits
	Background time.Duration // one KOS call when nobody waits
	Months     int           // selectable, the current one included
}

// DefaultLimits returns the answer budget, 3 s, 10 s, 6 months.
func DefaultLimits() Limits {
	return Limits{Answer: request.AnswerBudget, Call: 3 * time.Second, Background: 10 * time.Second, Months: 6}
}

// leaseMargin is how much longer than its call an inquiry stays leased: the time to write the result down.
const leaseMargin = 5 * time.Second

// Service answers bill inquiries. It is safe for concurrent use.
type Service struct {
	Source    ports.BillSource
	Lane      quota.Lane       // of Source
	Renewing  ports.BillSource // the same in the lane of refreshes
	Fetch     *fetch.Service[bill.Copy]
	Bills     ports.Bills
	Kept      ports.Bills      // the same without a cache
	Holders   *compare.Service // whose the lines are
	Inquiries ports.Inquiries
	Keys      ports.IdempotencyKeys
	Limits    Limits
	Fresh     freshness.Limits // of bills
	Now       ports.Clock
	NewID     ports.IDs
	Report    ports.Report      // trouble after the customer has his 202
	Seen      func(line.Number) // is told whose customers are here

	running sync.WaitGroup // questions that outlive their customer
	board   longpoll.Board // where inquiries are waited for
}

// Result is an inquiry with its bill, when there is one.
type Result struct {
	Inquiry  bill.Inquiry
	Bill     *bill.Bill
	Replayed bool // it is the inquiry of an earlier request under the same idempotency key
}

// Menu is what the bill menu shows (UFR-BILL-010); it needs no KOS call.
type Menu struct {
	CustomerID string
	Line       line.Number
	Lines      []line.Number
	Months     []calendar.Month // newest first
	Current    calendar.Month
}

// Menu returns the menu of the caller's line asked for, or of the first one when asked is zero. It is FORBIDDEN for another's line and
// LINE_NOT_FOUND for a caller without one.
func (s *Service) Menu(p auth.Principal, asked line.Number) (Menu, error) {
	n, err := p.PickLine(asked)
	if err != nil {
		return Menu{}, fault.From(err).WithMessage("요금 조회 메뉴 로딩에 실패하였습니다")
	}
	now := s.Now()
	return Menu{
		CustomerID: p.CustomerID, Line: n, Lines: p.Lines,
		Months: bill.SelectableMonths(now, s.Limits.Months), Current: calendar.MonthOf(now),
	}, nil
}

// Ask answers the bill of a month (empty = the current one): from a fresh copy, from KOS, or from a stale copy when KOS
// is in trouble; or a Processing inquiry that the background goes on with; or FORBIDDEN, VALIDATION_ERROR,
// BILL_NOT_FOUND, LINE_NOT_FOUND (also where KOS names another customer for the line), SERVICE_UNAVAILABLE.
// RATE_LIMIT_EXCEEDED when no copy may be shown and the customer's allowance of KOS calls is spent. The inquiry row is
// stored before Ask returns, whatever it returns after these checks.
func (s *Service) Ask(ctx context.Context, p auth.Principal, n line.Number, month string) (Result, error) {
	if err := p.Owns(n); err != nil {
		return Result{}, err
	}
	return s.ask(ctx, s.begin(ctx, p, n), month)
}

// begin is a new inquiry of the caller, whose time runs from now on.
func (s *Service) begin(ctx context.Context, p auth.Principal, n line.Number) bill.Inquiry {
	return bill.Inquiry{
		ID: s.NewID(), UserID: p.UserID, CustomerID: p.CustomerID, Line: n, Status: bill.Processing, RequestedAt: s.Now(),
		TraceID: ports.TraceOf(ctx).TraceID,
	}
}

func (s *Service) ask(ctx context.Context, q bill.Inquiry, month string) (Result, error) {
	m, err := bill.ParseMonth(month, q.RequestedAt, s.Limits.Months)
	if err != nil {
		return Result{}, err
	}
	now := s.Now()
	s.Seen(q.Line)
	q.Month, q.NextAttemptAt = m, now.Add(s.Limits.Call+leaseMargin)
	if held, ok := s.Fetch.Hit(ctx, s.question(q, true)); ok {
		q = q.Complete(held, freshness.FromCache, now)
		return Result{Inquiry: q, Bill: &held.Bill}, troubled(q, s.Inquiries.Add(ctx, q))
	}
	if err := s.Holders.CheckFresh(ctx, q.Account(), q.Line); err != nil {
		return Result{}, err
	}
	if err := s.Fetch.MayAsk(ctx, s.question(q, true)); err != nil {
		return s.unpaid(ctx, q, err)
	}
	if err := s.Inquiries.Add(ctx, asked(q)); err != nil {
		return s.unqueued(ctx, q, err)
	}
	return s.await(ctx, q)
}

// unpaid returns the last good copy, labelled, where the customer's allowance is spent. Without one nothing is
// accepted: an inquiry that waited in the background would spend what the customer no longer has.
func (s *Service) unpaid(ctx context.Context, q bill.Inquiry, spent error) (Result, error) {
	got, ok := s.Fetch.Held(ctx, s.question(q, true))
	if !ok {
		return Result{}, spent
	}
	q = q.Complete(got.Copy, got.Source, s.Now())
	return Result{Inquiry: q, Bill: &got.Copy.Bill}, troubled(q, s.Inquiries.Add(ctx, q))
}

// question is what KOS is asked for the inquiry. While the customer waits it may be tried as often as the inquiry has attempts left, in the
// background once at a time.
func (s *Service) question(q bill.Inquiry, interactive bool) fetch.Question[bill.Copy] {
	patience, attempts := s.Limits.Background, 1
	if interactive {
		patience, attempts = s.Limits.Call, bill.MaxAttempts-q.Attempts
	}
	return fetch.Question[bill.Copy]{
		Subject: freshness.Subject{Kind: freshness.Bills, Line: q.Line, Month: q.Month},
		Lane:    s.Lane, Patience: patience, Attempts: attempts, Tried: q.Attempts, Payer: ports.Payer{Customer: q.UserID},
		Latest: s.ownOf(q, s.Bills),
		Kept:   s.ownOf(q, s.Kept),
		Judge: func(held bill.Copy, since, now time.Time, rnd float64) freshness.State {
			return held.Limits(s.Fresh).Decide(held.AsOf, since, now, rnd)
		},
		Ask: func(ctx context.Context) (bill.Copy, error) {
			return s.asking(s.Source, q)(ports.WithPayer(ctx, ports.Payer{Customer: q.UserID})) // of the call for the holder
		},
		Renew: s.asking(s.Renewing, q),
		Keep:  s.Bills.Put, Durable: true, // history and delivery refer to the version kept
		Old: func(trouble error, attempts int) bool {
			q.Attempts += attempts
			return s.hopeless(q, trouble, interactive)
		},
	}
}

func (s *Service) asking(source ports.BillSource, q bill.Inquiry) func(context.Context) (bill.Copy, error) {
	return func(ctx context.Context) (bill.Copy, error) {
		if err := s.count(ctx, q, ports.AttemptOf(ctx)); err != nil {
			return bill.Copy{}, err
		}
		return s.askWithHolder(ctx, source, q)
	}
}

// hopeless tells that there will be no better answer than the last good copy: KOS cannot be asked while the customer waits, or the attempts
// are used up. A KOS that is merely slow gets its other attempts first; a customer whose time is over is shown the copy meanwhile (late).
func (s *Service) hopeless(q bill.Inquiry, cause error, interactive bool) bool {
	trouble := troubleOf(cause)
	return trouble == bill.NotAsked && interactive || trouble != bill.NoSuch && s.after(q, cause, interactive).Status.Failure()
}

// after is what trouble makes of the inquiry, its attempts counted.
func (s *Service) after(q bill.Inquiry, cause error, interactive bool) bill.Inquiry {
	f := fault.From(cause)
	return q.After(troubleOf(cause), f.Code(), interactive, f.RetryAfter(), s.Now())
}

// Get answers the caller's inquiry, waiting up to wait for it to become final; NOT_FOUND when it is somebody else's (ADR 17).
func (s *Service) Get(ctx context.Context, p auth.Principal, inquiry id.ID, wait time.Duration) (Result, error) {
	q, err := longpoll.Until(ctx, &s.board, inquiry, wait, func(ctx context.Context) (bill.Inquiry, bool, error) {
		q, err := s.Inquiries.Get(ctx, inquiry)
		if err == nil && (q.UserID != p.UserID || p.Owns(q.Line) != nil) {
			err = fault.New(fault.ResourceNotFound)
		}
		return q, q.Status.Final(), err
	})
	if err != nil {
		return Result{}, err
	}
	return s.withBill(ctx, q)
}

// save stores what came of the inquiry, whoever has gone since, and tells those who wait for it.
func (s *Service) save(ctx context.Context, q bill.Inquiry) error {
	ctx, done := ports.RecordContext(ctx)
	defer done()
	err := s.Inquiries.Save(ctx, q)
	if err == nil {
		s.board.Publish(q.ID)
	}
	return err
}

func (s *Service) withBill(ctx context.Context, q bill.Inquiry) (Result, error) {
	if q.Status != bill.Completed {
		return Result{Inquiry: q}, nil
	}
	c, err := s.version(ctx, q)
	if err != nil {
		return Result{}, err
	}
	shown, b := q.Recall(c)
	return Result{Inquiry: shown, Bill: b}, nil
}

// History answers one page of the caller's own inquiries, newest first, and how many there are; FORBIDDEN when f names a line
// that is not his.
func (s *Service) History(ctx context.Context, p auth.Principal, f bill.HistoryFilter) ([]bill.Inquiry, int, error) {
	for _, n := range f.Lines {
		if err := p.Owns(n); err != nil {
			return nil, 0, err
		}
	}
	if len(f.Lines) == 0 {
		f.Lines = p.Lines
	}
	f.UserID = p.UserID
	page, total, err := s.Inquiries.History(ctx, f)
	return s.withoutStrangers(ctx, p, page), total, err
}

// Step takes up to n unfinished inquiries that are due and makes one attempt for each; it answers how many it took. The worker
// calls it over and over.
func (s *Service) Step(ctx context.Context, n int) (int, error) {
	due, err := s.Inquiries.Claim(ctx, s.Now(), s.Limits.Background+bill.BackgroundGap, n) // should we die in the attempt
	if err != nil {
		return 0, err
	}
	errs := make([]error, len(due))
	var wg sync.WaitGroup
	for i, q := range due {
		wg.Go(func() {
			if err := s.work(ctx, q); fault.From(err).Unexpected() {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return len(due), errors.Join(errs...)
}

// Wait returns when no question outlives its customer any more; call it after the listener is closed, and Fetch.Wait after it.
func (s *Service) Wait() { s.running.Wait() }
