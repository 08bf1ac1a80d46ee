package inquiry

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/ports"
)

// A number that was given up gets another holder, and KOS writes that customer's bills from then on. So every copy
// carries the customer that KOS named for the line together with the bill, and it is shown to an account of that
// customer only, and only while KOS names no other customer for the line.

// askWithHolder asks KOS for the bill and, unless a copy of a few hours states it, for the line's customer. A bill
// whose customer is not known cannot be shown, so the call for the bill is made once the other one is on its way, and
// both run at the same time from then on. Where the other one cannot be made (breaker, quota, allowance) none is
// made, and the error is ErrNotAsked; where it is made in vain the bill counts as not answered.
func (s *Service) askWithHolder(ctx context.Context, call ports.Call, q bill.Inquiry) (bill.Copy, error) {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	began := s.Now()
	customer := s.findHolder(within, call, q.Line)
	select {
	case <-customer.sent:
	case <-customer.done:
		if err := customer.refusal(); err != nil {
			return bill.Copy{}, err
		}
	}
	b, err := s.Source.Bill(within, call, q.Line, q.Month)
	if err != nil {
		cancel() // the customer is not waited for any more; that call goes on and is stored for the next bill
	}
	<-customer.done
	switch {
	case err != nil:
		return bill.Copy{}, err
	case errors.Is(customer.err, fault.New(fault.LineNotFound)):
		return bill.Copy{}, customer.err
	case customer.err != nil: // the call for the bill was made, whatever became of the other one
		return bill.Copy{}, fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNoAnswer, errHolder))
	}
	return bill.Copy{Version: s.NewID(), Bill: b, AsOf: began, Holder: customer.id}, nil
}

// holderQuery is the search for a line's customer. sent is closed when its call is on its way, done when it has ended;
// id and err are to be read then.
type holderQuery struct {
	sent, done chan struct{}
	id         string
	err        error
}

func (s *Service) findHolder(ctx context.Context, call ports.Call, n line.Number) *holderQuery {
	h := &holderQuery{sent: make(chan struct{}), done: make(chan struct{})}
	call.OnSent = sync.OnceFunc(func() { close(h.sent) })
	go func() {
		defer close(h.done)
		h.id, h.err = s.Holders.Find(ctx, call, n)
	}()
	return h
}

// refusal is the error of a search that has ended without a call; nil when a copy states the customer, or when the call
// was made after all. A line that KOS does not know stays LINE_NOT_FOUND; everything else is ErrNotAsked with a
// Retry-After, for the bill is not asked for either.
func (h *holderQuery) refusal() error {
	select {
	case <-h.sent:
		return nil
	default:
	}
	if h.err == nil || errors.Is(h.err, fault.New(fault.LineNotFound)) {
		return h.err
	}
	again := cmp.Or(fault.From(h.err).RetryAfter(), bill.BackgroundGap)
	return fault.New(fault.ServiceUnavailable).RetryIn(again).Because(errors.Join(ports.ErrNotAsked, errHolder, h.err))
}

// errHolder is the cause of a bill that is not shown, or not asked for, because it is not known whose it is.
var errHolder = errors.New("inquiry: kos does not state whose line it is")

// ownCopy reads the newest copy if it may be shown to the customer who asks. NOT_FOUND also where it is another
// customer's.
func (s *Service) ownCopy(
	ctx context.Context, q bill.Inquiry,
	latest func(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error),
) (bill.Copy, error) {
	c, err := latest(ctx, q.Line, q.Month)
	if err != nil {
		return bill.Copy{}, err
	}
	if err := s.checkCopy(ctx, q, c); err != nil {
		return bill.Copy{}, fault.New(fault.ResourceNotFound).Because(err)
	}
	return c.Unproven(), nil
}

// version reads the bill that completed the inquiry; LINE_NOT_FOUND where it, or by now the line, is another
// customer's.
func (s *Service) version(ctx context.Context, q bill.Inquiry) (bill.Copy, error) {
	c, err := s.Bills.Version(ctx, q.Line, q.Month, q.Version)
	if err != nil {
		return bill.Copy{}, err
	}
	if err := s.checkCopy(ctx, q, c); err != nil {
		return bill.Copy{}, err
	}
	return c.Unproven(), nil
}

// checkCopy is nil when the copy is of a bill of the account's own customer, who is still the line's as far as is
// known.
func (s *Service) checkCopy(ctx context.Context, q bill.Inquiry, c bill.Copy) error {
	if err := s.Holders.CheckKnown(ctx, q.Account(), q.Line); err != nil || c.Holder == "" {
		return err
	}
	return s.checkHolder(ctx, q, c)
}

// checkHolder is nil when the copy is of a bill of the account's own customer. A former holder's copy is nothing to
// alert staff of.
func (s *Service) checkHolder(ctx context.Context, q bill.Inquiry, c bill.Copy) error {
	same, err := s.Holders.Matches(ctx, q.Account(), q.Line, c.Holder)
	switch {
	case err != nil:
		return fault.New(fault.ServiceUnavailable).Because(err)
	case !same:
		return fault.New(fault.LineNotFound)
	}
	return nil
}

// checkAnswer returns the error of KOS's answer for the customer who asked: err, or LINE_NOT_FOUND where the line is
// another customer's.
func (s *Service) checkAnswer(ctx context.Context, q bill.Inquiry, c bill.Copy, err error) error {
	switch {
	case err == nil && c.Holder == "": // a stored copy, which was checked when it was read
		return nil
	case err == nil:
		return s.Holders.Check(ctx, q.Account(), q.Line, c.Holder)
	case fault.From(err).Kind() == fault.NotFound:
		if other := s.Holders.CheckFresh(ctx, q.Account(), q.Line); errors.Is(other, fault.New(fault.LineNotFound)) {
			return other
		}
	}
	return err
}

// withoutStrangers leaves out what inquiries came to on lines that KOS names another customer for, as far as is known.
func (s *Service) withoutStrangers(ctx context.Context, p auth.Principal, page []bill.Inquiry) []bill.Inquiry {
	account := auth.Holder{UserID: p.UserID, CustomerID: p.CustomerID}
	elsewhere := map[line.Number]bool{}
	for i, q := range page {
		gone, looked := elsewhere[q.Line]
		if !looked {
			gone = errors.Is(s.Holders.CheckKnown(ctx, account, q.Line), fault.New(fault.LineNotFound))
			elsewhere[q.Line] = gone
		}
		if gone {
			page[i].Summary = ""
		}
	}
	return page
}
