package inquiry

import (
	"context"
	"time"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
)

// query asks for the inquiry's bill. While the customer waits (interactive) it may be tried as often as the inquiry has
// attempts left, in the background once at a time.
func (s *Service) query(q bill.Inquiry, interactive bool) copies.Query[bill.Copy] {
	policy := copies.Policy{
		Lane: s.Lane, Timeout: s.Limits.Background, Attempts: 1, RefreshAhead: true,
		Durable: true, // history and delivery refer to the version that is stored
	}
	if interactive {
		policy.Timeout, policy.Attempts = s.Limits.Call, bill.MaxAttempts-q.Attempts
	}
	return copies.Query[bill.Copy]{
		Subject: freshness.Subject{
			Kind: freshness.Bills, Key: personal.NewSecret(q.Line.Digits()), Part: q.Month.Compact(),
		},
		Source: source{s, q, interactive}, Policy: policy, PriorAttempts: q.Attempts,
		Call: ports.Call{RequestID: q.ID, Payer: ports.Payer{Customer: q.UserID}},
	}
}

// storedQuery is query for a caller that takes a stored copy only and wants no refresh.
func (s *Service) storedQuery(q bill.Inquiry, interactive bool) copies.Query[bill.Copy] {
	query := s.query(q, interactive)
	query.Policy.RefreshAhead = false
	return query
}

// source is the copies.Source of one inquiry's bill.
type source struct {
	*Service

	inquiry     bill.Inquiry
	interactive bool
}

// Read finds no copy where the newest one is another customer's.
func (b source) Read(ctx context.Context) (bill.Copy, error) {
	return b.ownCopy(ctx, b.inquiry, b.Bills.Latest)
}

func (b source) ReadCommitted(ctx context.Context) (bill.Copy, error) {
	return b.ownCopy(ctx, b.inquiry, b.Bills.LatestCommitted)
}

func (b source) State(stored bill.Copy, since, now time.Time, rnd float64) freshness.State {
	return stored.Limits(b.Fresh).Decide(stored.AsOf, since, now, rnd)
}

func (b source) Ask(ctx context.Context, call ports.Call) (bill.Copy, error) {
	if err := b.saveAttempt(ctx, b.inquiry, call.Attempt); err != nil {
		return bill.Copy{}, err
	}
	return b.askWithHolder(ctx, call, b.inquiry)
}

func (b source) Store(ctx context.Context, answer bill.Copy) error { return b.Bills.Put(ctx, answer) }

func (b source) MayServeStale(trouble error, attempts int) bool {
	q := b.inquiry
	q.Attempts += attempts
	return b.noBetterAnswer(q, trouble, b.interactive)
}

// noBetterAnswer reports whether there will be no better answer than the stored copy: KOS cannot be asked while the
// customer waits, or the attempts are used up. A KOS that is merely slow gets its other attempts first; a customer
// whose budget is over is shown the copy meanwhile (answerOverdue).
func (s *Service) noBetterAnswer(q bill.Inquiry, cause error, interactive bool) bool {
	trouble := troubleOf(cause)
	return trouble == bill.NotAsked && interactive ||
		trouble != bill.NoSuch && s.after(q, cause, interactive).Status.Failure()
}

// Prefetch asks KOS for the line's current bill unless a copy from since or later is stored, and returns when KOS was
// asked. No customer has asked for it, so it makes no inquiry.
func (s *Service) Prefetch(ctx context.Context, n line.Number, since time.Time) (asOf time.Time, err error) {
	q := s.storedQuery(bill.Inquiry{ID: s.NewID(), Line: n, Month: calendar.MonthOf(s.Now())}, false)
	q.Since = since
	got, err := s.Copies.Get(ctx, q)
	return got.Value.AsOf, err
}
