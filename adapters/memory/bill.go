package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/ports"
)

// Bills implements ports.Bills. Epochs may be nil.
type Bills struct {
	Epochs ports.Epochs
	mu     sync.Mutex
	all    []bill.Copy
}

// Latest returns the newest version unless the line's epoch hides it.
func (b *Bills) Latest(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	epoch, err := epochOf(ctx, b.Epochs, n)
	if err != nil {
		return bill.Copy{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var newest bill.Copy
	for _, c := range b.all {
		if c.Bill.Line == n && c.Bill.Month == m && c.AsOf.After(newest.AsOf) {
			newest = c
		}
	}
	if newest.AsOf.IsZero() || newest.HiddenBy(epoch) {
		return bill.Copy{}, fault.New(fault.ResourceNotFound)
	}
	return newest, nil
}

// LatestCommitted is Latest, which never lags here.
func (b *Bills) LatestCommitted(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	return b.Latest(ctx, n, m)
}

// Put stores a new version.
func (b *Bills) Put(_ context.Context, c bill.Copy) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, c)
	return nil
}

// Version returns exactly that version.
func (b *Bills) Version(_ context.Context, n line.Number, m calendar.Month, version id.ID) (bill.Copy, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.all {
		if c.Version == version && c.Bill.Line == n && c.Bill.Month == m {
			return c, nil
		}
	}
	return bill.Copy{}, fault.New(fault.ResourceNotFound)
}

// BillMonths implements ports.BillMonths.
type BillMonths struct {
	mu sync.Mutex
	m  map[line.Number]bill.MonthsCopy
}

// Latest returns the copy, or NOT_FOUND.
func (b *BillMonths) Latest(_ context.Context, n line.Number) (bill.MonthsCopy, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return found(b.m, n)
}

// LatestCommitted is Latest, which never lags here.
func (b *BillMonths) LatestCommitted(ctx context.Context, n line.Number) (bill.MonthsCopy, error) {
	return b.Latest(ctx, n)
}

// Put replaces the copy unless the stored one is newer.
func (b *BillMonths) Put(_ context.Context, stated bill.MonthsCopy) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil {
		b.m = map[line.Number]bill.MonthsCopy{}
	}
	if n := stated.Line; !b.m[n].AsOf.After(stated.AsOf) {
		b.m[n] = stated
	}
	return nil
}

// Inquiries implements ports.Inquiries and ports.Outbox[ports.BillResult]. Bills is where results find their bill; it
// may be nil when none is delivered.
type Inquiries struct {
	Bills *Bills
	mu    sync.Mutex
	m     map[id.ID]bill.Inquiry
	out   outbox
}

// Add stores a new inquiry.
func (q *Inquiries) Add(_ context.Context, i bill.Inquiry) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.m == nil {
		q.m = map[id.ID]bill.Inquiry{}
	}
	if old, ok := q.m[i.ID]; ok {
		if old.UserID != i.UserID || old.Line != i.Line || old.Month != i.Month || !old.RequestedAt.Equal(i.RequestedAt) {
			return fault.New(fault.StateConflict)
		}
		q.replaceUndelivered(old, i)
		return nil
	}
	q.put(i)
	return nil
}

// replaceUndelivered replaces a final inquiry by another one that is added, if it was not delivered yet.
func (q *Inquiries) replaceUndelivered(old, i bill.Inquiry) {
	if !i.Status.Final() || old.Status == i.Status && old.ProcessedAt.Equal(i.ProcessedAt) && old.Version == i.Version {
		return
	}
	if e := q.out.entries[i.ID]; e != nil && e.sequence != 0 {
		return // it may have been delivered
	}
	i.Fence = old.Fence + 1
	if old.Status.Final() {
		q.m[i.ID] = i // delivery goes on as it was
		return
	}
	q.put(i)
}

// AddAll stores them one by one; the first that is refused ends it.
func (q *Inquiries) AddAll(ctx context.Context, all []bill.Inquiry) error {
	for _, i := range all {
		if err := q.Add(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (q *Inquiries) put(i bill.Inquiry) {
	q.m[i.ID] = i
	if i.Status != bill.Processing {
		q.out.due(i.ID, i.Line.Digits(), i.Line.String(), i.ProcessedAt)
	}
}

// Get returns the inquiry, or NOT_FOUND.
func (q *Inquiries) Get(_ context.Context, inquiry id.ID) (bill.Inquiry, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return found(q.m, inquiry)
}

// Save stores progress unless the row is final or claimed since.
func (q *Inquiries) Save(_ context.Context, i bill.Inquiry) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if old, ok := q.m[i.ID]; !ok || old.Status != bill.Processing || old.Fence != i.Fence {
		return fault.New(fault.StateConflict)
	}
	q.put(i)
	return nil
}

// Claim leases inquiries that are due.
func (q *Inquiries) Claim(_ context.Context, now time.Time, lease time.Duration, n int) ([]bill.Inquiry, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var due []bill.Inquiry
	for _, i := range q.m {
		if i.Status == bill.Processing && !i.NextAttemptAt.After(now) {
			due = append(due, i)
		}
	}
	slices.SortFunc(due, func(a, b bill.Inquiry) int { return a.NextAttemptAt.Compare(b.NextAttemptAt) })
	due = due[:min(n, len(due))]
	for k := range due {
		due[k].Fence++
		due[k].Attempts++
		due[k].NextAttemptAt = now.Add(lease)
		q.m[due[k].ID] = due[k]
	}
	return due, nil
}

// History returns one page.
func (q *Inquiries) History(_ context.Context, f bill.HistoryFilter) ([]bill.Inquiry, int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var rows []bill.Inquiry
	for _, i := range q.m {
		if i.UserID == f.UserID && slices.Contains(f.Lines, i.Line) && within(i.RequestedAt, f.From, f.To) &&
			(f.Status == "" || f.Status == i.Status.Public()) {
			rows = append(rows, i)
		}
	}
	slices.SortFunc(rows, func(a, b bill.Inquiry) int {
		return newestFirst(a.RequestedAt, b.RequestedAt, a.ID, b.ID)
	})
	return page(rows, f.Page, f.Size), len(rows), nil
}

// Outbox returns the delivery side of the same rows.
func (q *Inquiries) Outbox() *BillOutbox { return &BillOutbox{q} }

// BillOutbox implements ports.Outbox[ports.BillResult] on the rows of Inquiries.
type BillOutbox struct{ rows *Inquiries }

// Claim leases lines with results to deliver.
func (o *BillOutbox) Claim(
	ctx context.Context, now time.Time, lease time.Duration, lines, each int,
) ([][]delivery.Item[ports.BillResult], error) {
	o.rows.mu.Lock()
	defer o.rows.mu.Unlock()
	return items(o.rows.out.claim(now, now.Add(lease), lines, each),
		func(row id.ID) (ports.BillResult, *delivery.Attempt) {
			body := ports.BillResult{Inquiry: o.rows.m[row]}
			if i := body.Inquiry; i.Status == bill.Completed {
				c, err := o.rows.Bills.Version(ctx, i.Line, i.Month, i.Version)
				if err != nil {
					return body, &delivery.Attempt{Outcome: delivery.Failed, Note: "the bill version is not there"}
				}
				body.Inquiry, body.Bill = i.Recall(c)
			}
			return body, nil
		}), nil
}

// Settle stores the outcome of claimed results.
func (o *BillOutbox) Settle(_ context.Context, now time.Time, items ...delivery.AttemptResult) error {
	o.rows.mu.Lock()
	defer o.rows.mu.Unlock()
	return o.rows.out.settle(now, items)
}
