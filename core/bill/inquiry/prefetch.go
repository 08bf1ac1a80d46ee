package inquiry

import (
	"context"
	"time"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/line"
)

// Prefetch fetches the line's current bill unless KOS has told it since, and answers when it was told. Nobody has asked for it, so it makes
// no inquiry.
func (s *Service) Prefetch(ctx context.Context, n line.Number, since time.Time) (told time.Time, err error) {
	q := s.question(bill.Inquiry{ID: s.NewID(), Line: n, Month: calendar.MonthOf(s.Now())}, false)
	q.Since, q.Renew = since, nil
	got, err := s.Fetch.Get(ctx, q)
	return got.Copy.AsOf, err
}
