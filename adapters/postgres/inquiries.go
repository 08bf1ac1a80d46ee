package postgres

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/internal/batch"
	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Inquiries implements ports.Inquiries and ports.InquiryBatches: the row is history, queue and outbox in one.
type Inquiries struct {
	pool   *pgxpool.Pool
	reads  *pgxpool.Pool
	rows   inquiryRows
	alerts ports.Alerts
	adds   *batch.Writer[billdb.Inquiry]
}

var (
	_ ports.Inquiries      = (*Inquiries)(nil)
	_ ports.InquiryBatches = (*Inquiries)(nil)
)

// InquiryOptions tune Inquiries; the zero value of a field is its default.
type InquiryOptions struct {
	Reads  *pgxpool.Pool // what History asks, such as a replica; default: the pool that is written to
	Delay  time.Duration // how long a row may wait for company before it is committed; default 0
	Alerts ports.Alerts  // hear of rows that cannot be opened; nil = nobody does
}

// NewInquiries works on the bill database.
func NewInquiries(pool *pgxpool.Pool, vault ports.Vault) *Inquiries {
	return OpenInquiries(pool, vault, InquiryOptions{})
}

// OpenInquiries is NewInquiries with options.
func OpenInquiries(pool *pgxpool.Pool, vault ports.Vault, o InquiryOptions) *Inquiries {
	s := &Inquiries{pool: pool, reads: cmp.Or(o.Reads, pool), rows: newInquiryRows(vault), alerts: o.Alerts}
	s.adds = batch.New(batch.Options{Writers: historyWriters, Delay: o.Delay, Splits: blamesARow}, s.insert)
	return s
}

// Close returns when every row that was added is stored or refused.
func (s *Inquiries) Close() { s.adds.Close() }

// Add stores a new inquiry, in one commit with those of other callers.
func (s *Inquiries) Add(ctx context.Context, q bill.Inquiry) error {
	row, err := s.rows.row(q)
	if err != nil {
		return translate("seal inquiry", err)
	}
	return translate("add inquiry", s.adds.Add(ctx, row))
}

// AddAll stores the inquiries in one commit.
func (s *Inquiries) AddAll(ctx context.Context, all []bill.Inquiry) error {
	rows := make([]billdb.Inquiry, len(all))
	for i, q := range all {
		var err error
		if rows[i], err = s.rows.row(q); err != nil {
			return translate("seal inquiry", err)
		}
	}
	return translate("add inquiries", s.insert(ctx, rows))
}

// Get answers the inquiry, or NOT_FOUND.
func (s *Inquiries) Get(ctx context.Context, inquiry id.ID) (bill.Inquiry, error) {
	row, err := billdb.New(s.pool).Inquiry(ctx, uuid.UUID(inquiry))
	if err != nil {
		return bill.Inquiry{}, translate("read inquiry", err, fault.ResourceNotFound)
	}
	q, err := s.rows.noun(row)
	return q, translate("open inquiry", err)
}

// Save stores progress where status and fence still are what the caller saw.
func (s *Inquiries) Save(ctx context.Context, q bill.Inquiry) error {
	row, err := s.rows.row(q)
	if err != nil {
		return translate("seal inquiry", err)
	}
	changed, err := billdb.New(s.pool).SaveInquiry(ctx, billdb.SaveInquiryParams{
		ID: row.ID, Fence: row.Fence, Status: row.Status, Source: row.Source, ProcessedAt: row.ProcessedAt, AsOf: row.AsOf,
		VersionID: row.VersionID, SummarySealed: row.SummarySealed, FailureCode: row.FailureCode, TimedOut: row.TimedOut,
		Attempts: row.Attempts, NextAttemptAt: row.NextAttemptAt, DeliveryState: row.DeliveryState, DeliveryNextAt: row.DeliveryNextAt,
	})
	if err != nil {
		return translate("save inquiry", err)
	}
	return conflict(changed)
}

// Claim leases due inquiries; rows that another claimer is taking are skipped, not waited for, and rows that cannot be opened put off.
func (s *Inquiries) Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]bill.Inquiry, error) {
	q := billdb.New(s.pool)
	rows, err := q.ClaimInquiries(ctx, billdb.ClaimInquiriesParams{LeaseUntil: now.Add(lease), Now: now, N: int64(n)})
	if err != nil {
		return nil, translate("claim inquiries", err)
	}
	return queued(ctx, s.alerts, rows, s.rows.noun, func(r billdb.Inquiry) uuid.UUID { return r.ID },
		func(ctx context.Context, ids []uuid.UUID) error {
			return q.PutOffInquiries(ctx, billdb.PutOffInquiriesParams{Until: now.Add(unreadableFor), Ids: ids})
		}), nil
}

// History returns one page and the number of all rows that match; the two are read one after the other.
func (s *Inquiries) History(ctx context.Context, f bill.HistoryFilter) ([]bill.Inquiry, int, error) {
	all := requestdb.CountHistoryParams{
		UserID: string(f.UserID), Subjects: s.rows.lines.indexes(f.Lines), Since: since(f.From), Before: before(f.To),
		Status: string(f.Status),
	}
	total, from, err := historyPage(ctx, s.reads, all, f.Page, f.Size)
	if err != nil || from == nil {
		return nil, total, err
	}
	rows, err := billdb.New(s.reads).InquiryHistory(ctx, billdb.InquiryHistoryParams{
		UserID: all.UserID, Lines: all.Subjects, Since: all.Since, FromAt: from.at, FromID: from.id, Status: all.Status,
		Size: int64(f.Size),
	})
	if err != nil {
		return nil, 0, translate("read inquiries", err)
	}
	return s.rows.shown(rows, f.Lines), total, nil
}
