package inquiry

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/holder"
	"phonebill/core/line"
	"phonebill/ports"
)

// A number that was given up gets another holder, and KOS writes that customer's bills from then on. So every copy
// carries the customer that KOS named for the line together with the bill, and it is shown to an account of that customer
// only, and only while KOS names no other customer for the line.

// askWithHolder asks KOS for the bill and, unless a copy of a few hours says it, whose line it is. A bill of which that is
// not known cannot be shown to anybody, so the call for the bill is made once the other one is on its way, and both run
// at the same time from then on. Where the other one cannot be made (breaker, quota, allowance) none is made, and the
// error is ErrNotAsked; where it is made in vain the bill counts as not answered.
func (s *Service) askWithHolder(ctx context.Context, source ports.BillSource, q bill.Inquiry) (bill.Copy, error) {
	within, cancel := context.WithCancel(ports.WithRequest(ctx, q.ID))
	defer cancel()
	began := s.Now()
	asking := s.findHolder(within, q.Line)
	select {
	case <-asking.sent:
	case <-asking.done:
		if err := asking.refused(); err != nil {
			return bill.Copy{}, err
		}
	}
	b, err := source.Bill(within, q.ID, q.Line, q.Month)
	if err != nil {
		cancel() // the other answer is not waited for any more; its call goes on and is kept for the next bill
	}
	<-asking.done
	switch {
	case err != nil:
		return bill.Copy{}, err
	case errors.Is(asking.err, fault.New(fault.LineNotFound)):
		return bill.Copy{}, asking.err
	case asking.err != nil: // the call for the bill was made, whatever became of the other one
		return bill.Copy{}, fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNoAnswer, errHolder))
	}
	return bill.Copy{Version: s.NewID(), Bill: b, AsOf: began, Holder: asking.customer}, nil
}

// holderQuestion is the question whose line it is. sent is closed when its call is on its way, done when it has ended:
// the customer and the error are to be read then.
type holderQuestion struct {
	sent, done chan struct{}
	customer   string
	err        error
}

func (s *Service) findHolder(ctx context.Context, n line.Number) *holderQuestion {
	h := &holderQuestion{sent: make(chan struct{}), done: make(chan struct{})}
	ctx = ports.WithSent(ctx, sync.OnceFunc(func() { close(h.sent) }))
	go func() {
		defer close(h.done)
		h.customer, h.err = s.Holders.Find(ctx, n)
	}()
	return h
}

// refused is the error of a question that has ended without a call; nil when a copy told the customer, or when the call
// was made after all. A line that KOS does not know stays LINE_NOT_FOUND; everything else is ErrNotAsked with a
// Retry-After, for the bill is not asked for either.
func (h *holderQuestion) refused() error {
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

// ownOf reads the newest copy of a store if it may be shown to the customer who asks. NOT_FOUND also where it is
// somebody else's.
func (s *Service) ownOf(q bill.Inquiry, bills ports.Bills) func(context.Context) (bill.Copy, error) {
	return func(ctx context.Context) (bill.Copy, error) {
		c, err := bills.Latest(ctx, q.Line, q.Month)
		if err != nil {
			return bill.Copy{}, err
		}
		if err := s.checkCopy(ctx, q, c); err != nil {
			return bill.Copy{}, fault.New(fault.ResourceNotFound).Because(err)
		}
		return c.Unproven(), nil
	}
}

// version reads the bill that completed the inquiry; LINE_NOT_FOUND where it, or the line now, is another customer's.
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

// answeredTo is what KOS's answer, or its refusal, is to the customer who asked: LINE_NOT_FOUND where the line is
// another customer's.
func (s *Service) answeredTo(ctx context.Context, q bill.Inquiry, c bill.Copy, err error) error {
	switch {
	case err == nil && c.Holder == "": // an old copy, which was checked when it was read
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
	account := holder.Account{UserID: p.UserID, CustomerID: p.CustomerID}
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
