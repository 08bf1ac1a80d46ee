// Package inquiry is UFR-BILL-010…040: the menu, asking for a bill, its result and the history. Begin with Ask
// (ask.go).
package inquiry

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/auth/holder"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/core/request/lifecycle"
	"phonebill/ports"
)

// Limits are the times of one inquiry (S-ANSWER).
type Limits struct {
	Answer     time.Duration // the customer has an answer by then, be it 202
	Call       time.Duration // one KOS call while the customer waits
	Background time.Duration // one KOS call in the background
	Months     int           // selectable, the current one included
}

// DefaultLimits returns the answer budget, 3 s, 10 s, 6 months.
func DefaultLimits() Limits {
	return Limits{Answer: request.AnswerBudget, Call: 3 * time.Second, Background: 10 * time.Second, Months: 6}
}

// leaseMargin is how much longer than its call an inquiry stays leased: the time to store the result.
const leaseMargin = 5 * time.Second

// Service carries out bill inquiries. It is safe for concurrent use.
type Service struct {
	Source         ports.BillSource
	Lane           quota.Lane // of the calls for bills
	Copies         *copies.Copies[bill.Copy]
	Bills          ports.Bills
	Holders        *holder.Service // whose the lines are
	Inquiries      ports.Inquiries
	Keys           ports.IdempotencyKeys
	Limits         Limits
	Fresh          freshness.Limits // of bills
	Now            ports.Clock
	NewID          ports.IDs
	Months         *Months           // nil where no menu is shown
	Report         ports.Report      // errors after the customer has the 202
	NoteActiveLine func(line.Number) // records that the line's customer is active

	running sync.WaitGroup  // attempts that outlive their customer's request
	board   lifecycle.Board // where inquiries are waited for
}

// Result is an inquiry with its bill, when there is one.
type Result struct {
	Inquiry  bill.Inquiry
	Bill     *bill.Bill
	Replayed bool // it is the inquiry of an earlier request under the same idempotency key
}

// Menu is what the bill menu shows (UFR-BILL-010).
type Menu struct {
	CustomerID  string
	Line        line.Number
	Lines       []line.Number
	Months      []calendar.Month // those with a bill, newest first
	Provisional bool             // it is not known which months have a bill: Months are all that can be asked for
	Current     calendar.Month
}

// Menu returns the menu of the caller's line asked for, or of the first one when asked is zero. It is FORBIDDEN for
// another's line and LINE_NOT_FOUND for a caller without one. It never waits for KOS (R-MONTHS).
func (s *Service) Menu(ctx context.Context, p auth.Principal, asked line.Number) (Menu, error) {
	n, err := p.PickLine(asked)
	if err != nil {
		return Menu{}, fault.From(err).WithMessage("요금 조회 메뉴 로딩에 실패하였습니다")
	}
	menu := Menu{CustomerID: p.CustomerID, Line: n, Lines: p.Lines, Current: calendar.MonthOf(s.Now())}
	menu.Months, menu.Provisional = s.Months.offered(ctx, p, n, s.Limits.Months)
	return menu, nil
}

// Get returns the caller's inquiry, waiting up to wait for it to become final; NOT_FOUND when it is another customer's
// (ADR 17).
func (s *Service) Get(ctx context.Context, p auth.Principal, inquiry id.ID, wait time.Duration) (Result, error) {
	q, err := lifecycle.PollUntil(ctx, &s.board, inquiry, wait, func(ctx context.Context) (bill.Inquiry, bool, error) {
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

// withBill adds the bill that completed the inquiry, if it did.
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

// History returns one page of the caller's own inquiries, newest first, and how many there are; FORBIDDEN when f
// names a line that is not the caller's.
func (s *Service) History(ctx context.Context, p auth.Principal, f bill.HistoryFilter) ([]bill.Inquiry, int, error) {
	var err error
	if f.Lines, err = p.OwnLines(f.Lines); err != nil {
		return nil, 0, err
	}
	f.UserID = p.UserID
	page, total, err := s.Inquiries.History(ctx, f)
	return s.withoutStrangers(ctx, p, page), total, err
}

// Step takes up to n unfinished inquiries that are due, makes one attempt for each, and returns how many it took. The
// worker calls it repeatedly.
func (s *Service) Step(ctx context.Context, n int) (int, error) {
	lease := s.Limits.Background + bill.BackgroundGap // when this process dies, another one takes over after it
	due, err := s.Inquiries.Claim(ctx, s.Now(), lease, n)
	if err != nil {
		return 0, err
	}
	_, errs := lifecycle.Each(due, func(q bill.Inquiry) (bill.Inquiry, error) {
		err := s.work(ctx, q)
		if !fault.From(err).Unexpected() {
			err = nil
		}
		return q, err
	})
	return len(due), errors.Join(errs...)
}

// Wait blocks until no attempt outlives its customer's request any more. Call it after the listener is closed, and
// Copies.Wait after it.
func (s *Service) Wait() {
	if s.Months != nil {
		s.Months.Wait()
	}
	s.running.Wait()
}
