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
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/news"
	"phonebill/core/news/await"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Limits are the times of one inquiry (product.md).
type Limits struct {
	Answer     time.Duration // the customer has his answer by then, be it 202
	Call       time.Duration // one KOS call while the customer waits
	Background time.Duration // one KOS call when nobody waits
	Months     int           // selectable, the current one included
}

// DefaultLimits is 2.7 s, 3 s, 10 s, 6 months.
func DefaultLimits() Limits {
	return Limits{Answer: 2700 * time.Millisecond, Call: 3 * time.Second, Background: 10 * time.Second, Months: 6}
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
	Kept      ports.Bills // the same without a cache
	Inquiries ports.Inquiries
	Keys      ports.IdempotencyKeys
	Limits    Limits
	Fresh     freshness.Limits // of bills
	Now       ports.Clock
	NewID     ports.IDs
	Report    ports.Report      // trouble after the customer has his 202
	Seen      func(line.Number) // is told whose customers are here

	running sync.WaitGroup // questions that outlive their customer
	board   news.Board     // where inquiries are waited for
}

// Result is an inquiry with its bill, when there is one.
type Result struct {
	Inquiry bill.Inquiry
	Bill    *bill.Bill
}

// Menu is what the bill menu shows (UFR-BILL-010); it needs no KOS call.
type Menu struct {
	CustomerID string
	Line       line.Number
	Lines      []line.Number
	Months     []calendar.Month // newest first
	Current    calendar.Month
}

// Menu answers the caller's menu, or LINE_NOT_FOUND for a caller without a line.
func (s *Service) Menu(p auth.Principal) (Menu, error) {
	n, err := p.PickLine(line.Number{})
	if err != nil {
		return Menu{}, fault.From(err).WithMessage("요금 조회 메뉴 로딩에 실패하였습니다")
	}
	now := s.Now()
	return Menu{
		CustomerID: p.CustomerID, Line: n, Lines: p.Lines,
		Months: bill.SelectableMonths(now, s.Limits.Months), Current: calendar.MonthOf(now),
	}, nil
}

// Ask answers the bill of a month (empty = the current one): from a fresh copy, from KOS, or from a stale copy when KOS is in
// trouble; or a Processing inquiry that the background goes on with; or FORBIDDEN, VALIDATION_ERROR, BILL_NOT_FOUND,
// LINE_NOT_FOUND, SERVICE_UNAVAILABLE. The inquiry row is stored before Ask returns, whatever it returns after the checks.
func (s *Service) Ask(ctx context.Context, p auth.Principal, n line.Number, month string) (Result, error) {
	if err := p.Owns(n); err != nil {
		return Result{}, err
	}
	return s.ask(ctx, s.begin(p, n), month)
}

// begin is a new inquiry of the caller, whose time runs from now on.
func (s *Service) begin(p auth.Principal, n line.Number) bill.Inquiry {
	return bill.Inquiry{
		ID: s.NewID(), UserID: p.UserID, CustomerID: p.CustomerID, Line: n, Status: bill.Processing, RequestedAt: s.Now(),
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
		return Result{q, &held.Bill}, s.Inquiries.Add(ctx, q)
	}
	if err := s.Inquiries.Add(ctx, asked(q)); err != nil {
		return s.unqueued(ctx, q, err)
	}
	return s.await(ctx, q)
}

// looking is how long the last good copy is looked for where nothing else can answer: a cache that is left alone after a hiccup comes back
// within it.
const looking = time.Second

// hiccup is how often it is looked for meanwhile.
const hiccup = 200 * time.Millisecond

// unqueued answers with the last good copy in memory where the inquiry could not be queued: KOS is asked for nobody whose question could
// be lost (decision 15). The row may be stored all the same, so what the customer is told ends it, a refusal too: else it would be worked
// on.
func (s *Service) unqueued(ctx context.Context, q bill.Inquiry, cause error) (Result, error) {
	if fault.From(cause).Kind() != fault.Unavailable {
		return Result{}, cause
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), looking) // queueing may have used up the customer's time
	defer cancel()
	tick := time.NewTicker(hiccup)
	defer tick.Stop()
	for {
		if got, ok := s.Fetch.Held(within, s.question(q, true)); ok {
			q = q.Complete(got.Copy, got.Source, s.Now())
			return Result{q, &got.Copy.Bill}, s.record(ctx, q)
		}
		if ctx.Err() != nil {
			return Result{}, s.refused(ctx, q, cause)
		}
		select {
		case <-tick.C:
		case <-within.Done():
			return Result{}, s.refused(ctx, q, cause)
		}
	}
}

// refused records that the inquiry failed, if anything can; it is told in any case.
func (s *Service) refused(ctx context.Context, q bill.Inquiry, cause error) error {
	if err := s.record(ctx, q.Fail(fault.ServiceUnavailable, s.Now())); fault.From(err).Unexpected() {
		s.Report(ctx, err)
	}
	return cause
}

// recording is how long what the customer is told may take to be recorded.
const recording = time.Second

// record stores what the customer is told of an inquiry that may be stored unfinished. His time may be over.
func (s *Service) record(ctx context.Context, q bill.Inquiry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recording)
	defer cancel()
	return s.Inquiries.Add(ctx, q)
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
		Lane:    s.Lane, Patience: patience, Attempts: attempts, Tried: q.Attempts,
		Latest: func(ctx context.Context) (bill.Copy, error) { return s.Bills.Latest(ctx, q.Line, q.Month) },
		Kept:   func(ctx context.Context) (bill.Copy, error) { return s.Kept.Latest(ctx, q.Line, q.Month) },
		Judge: func(held bill.Copy, since, now time.Time, rnd float64) freshness.State {
			return held.Limits(s.Fresh).Decide(held.AsOf, since, now, rnd)
		},
		Ask:   s.asking(s.Source, q),
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
		began := s.Now()
		told, err := source.Bill(ctx, q.ID, q.Line, q.Month)
		return bill.Copy{Version: s.NewID(), Bill: told, AsOf: began}, err
	}
}

// hopeless tells that there will be no better answer than the last good copy: KOS cannot be asked while the customer waits, or the attempts
// are used up. A KOS that is merely slow gets its other attempts first, else a slow line would be shown its old bill until that is gone.
func (s *Service) hopeless(q bill.Inquiry, cause error, interactive bool) bool {
	trouble := troubleOf(cause)
	return trouble == bill.NotAsked && interactive || trouble != bill.NoSuch && s.after(q, cause, interactive).Status.Failure()
}

// after is what trouble makes of the inquiry, its attempts counted.
func (s *Service) after(q bill.Inquiry, cause error, interactive bool) bill.Inquiry {
	f := fault.From(cause)
	return q.After(troubleOf(cause), f.Code(), interactive, f.RetryAfter(), s.Now())
}

// await lets the question go on when the customer's time is over or he hangs up.
func (s *Service) await(ctx context.Context, q bill.Inquiry) (Result, error) {
	type outcome struct {
		Result
		err error
	}
	done, gone := make(chan outcome), make(chan struct{})
	defer close(gone)
	s.running.Go(func() {
		r, err := s.attempt(context.WithoutCancel(ctx), q, true)
		select {
		case done <- outcome{r, err}:
		case <-gone:
			if fault.From(err).Unexpected() {
				s.Report(ctx, err)
			}
		}
	})
	timer := time.NewTimer(s.Limits.Answer - s.Now().Sub(q.RequestedAt)) // storing it was part of his time
	defer timer.Stop()
	select {
	case o := <-done:
		return o.Result, o.err
	case <-timer.C:
		return Result{Inquiry: asked(q)}, nil
	}
}

// attempt asks for the inquiry's bill and stores what came of it.
func (s *Service) attempt(ctx context.Context, q bill.Inquiry, interactive bool) (Result, error) {
	question := s.question(q, interactive)
	ctx, end := context.WithTimeout(ctx, question.Patience+leaseMargin) // whoever is late has lost the inquiry anyway
	defer end()
	got, err := s.Fetch.Get(ctx, question)
	q.Attempts += got.Attempts
	if err != nil {
		return s.untold(ctx, s.after(q, err, interactive), err)
	}
	q = q.Complete(got.Copy, got.Source, s.Now())
	return Result{q, &got.Copy.Bill}, s.save(ctx, q)
}

func (s *Service) untold(ctx context.Context, q bill.Inquiry, cause error) (Result, error) {
	if err := s.save(ctx, q); err != nil {
		return Result{}, err
	}
	if q.Status.Failure() {
		return Result{Inquiry: q}, failed(q, fault.From(cause))
	}
	return Result{Inquiry: q}, nil
}

func troubleOf(err error) bill.Trouble {
	switch {
	case errors.Is(err, ports.ErrNotAsked):
		return bill.NotAsked
	case errors.Is(err, ports.ErrNoAnswer):
		return bill.NoAnswer
	case fault.From(err).Kind() == fault.NotFound:
		return bill.NoSuch
	default:
		return bill.Broken
	}
}

// failed is what the customer is told of an inquiry that failed while he waited.
func failed(q bill.Inquiry, f *fault.Error) error {
	return failure(f).WithDetail("requestId", q.ID.String())
}

// failure is the story's text for trouble; KOS's business answers keep their own.
func failure(f *fault.Error) *fault.Error {
	if f.Kind() == fault.NotFound {
		return f
	}
	return fault.New(fault.ServiceUnavailable).WithMessage("요금 조회 신청에 실패하였습니다").RetryIn(f.RetryAfter()).Because(f)
}

// Get answers the caller's inquiry, waiting up to wait for it to become final; NOT_FOUND when it is somebody else's (decision 5).
func (s *Service) Get(ctx context.Context, p auth.Principal, inquiry id.ID, wait time.Duration) (Result, error) {
	q, err := await.End(ctx, &s.board, inquiry, wait, func(ctx context.Context) (bill.Inquiry, bool, error) {
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

// save stores what came of the inquiry and tells those who wait for it.
func (s *Service) save(ctx context.Context, q bill.Inquiry) error {
	err := s.Inquiries.Save(ctx, q)
	if err == nil {
		s.board.Tell(q.ID)
	}
	return err
}

func (s *Service) withBill(ctx context.Context, q bill.Inquiry) (Result, error) {
	if q.Status != bill.Completed {
		return Result{Inquiry: q}, nil
	}
	c, err := s.Bills.Version(ctx, q.Line, q.Month, q.Version)
	if err != nil {
		return Result{}, err
	}
	return Result{q, &c.Bill}, nil
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
	return s.Inquiries.History(ctx, f)
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
			if _, err := s.work(ctx, q); fault.From(err).Unexpected() {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return len(due), errors.Join(errs...)
}

// Wait returns when no question outlives its customer any more; call it after the listener is closed, and Fetch.Wait after it.
func (s *Service) Wait() { s.running.Wait() }
