package inquiry

import (
	"context"
	"time"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/line"
)

// Prefetch asks KOS for the line's current bill unless a copy from since or later is stored, and returns when KOS was
// asked. No customer has asked for it, so it makes no inquiry.
func (s *Service) Prefetch(ctx context.Context, n line.Number, since time.Time) (asOf time.Time, err error) {
	q := s.storedQuery(bill.Inquiry{ID: s.NewID(), Line: n, Month: calendar.MonthOf(s.Now())}, false)
	q.Since = since
	got, err := s.Copies.Get(ctx, q)
	return got.Value.AsOf, err
}
