package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/internal/batch"
	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/operations"
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
	Reads  *pgxpool.Pool // for History, such as a replica; default: the pool that is written to
	Delay  time.Duration // how long a row may wait for others before they are committed; default 0
	Alerts ports.Alerts  // for rows that cannot be opened; default none
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

// Close blocks until every row that was added is stored or refused.
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

// Get returns the inquiry, or NOT_FOUND.
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
	rows, err := billdb.New(s.pool).SaveInquiry(ctx, billdb.SaveInquiryParams{
		ID: row.ID, Fence: row.Fence, Status: row.Status, Source: row.Source, ProcessedAt: row.ProcessedAt, AsOf: row.AsOf,
		VersionID: row.VersionID, SummarySealed: row.SummarySealed, FailureCode: row.FailureCode, TimedOut: row.TimedOut,
		Attempts: row.Attempts, NextAttemptAt: row.NextAttemptAt, DeliveryState: row.DeliveryState,
		DeliveryNextAt: row.DeliveryNextAt,
	})
	return translate("save inquiry", changed(rows, err, fault.StateConflict))
}

// Claim leases due inquiries. Rows that another claim is taking are skipped, and rows that cannot be opened are put
// off.
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

// History returns one page and the number of all rows that match, read one after the other.
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

// historyWriters is how many commits of new inquiries are under way at a time (S-HISTORY-BATCH).
const historyWriters = 2

// blamesARow reports whether a statement failed because of a row, not because the database is in trouble: then rows may
// be stored one by one.
func blamesARow(err error) bool { return !inTrouble(err) && !errors.Is(err, context.Canceled) }

// insert stores the rows in one statement, all or none. Rows that exist already are no error (a replay); another row
// under the same id is CONFLICT. A statement cannot take one id twice: such rows are split.
func (s *Inquiries) insert(ctx context.Context, rows []billdb.Inquiry) error {
	q := billdb.New(s.pool)
	stored, err := q.AddInquiries(ctx, columns(rows))
	if err != nil || stored == int64(len(rows)) {
		return err
	}
	mine := make(map[uuid.UUID]billdb.Inquiry, len(rows))
	ids := make([]uuid.UUID, len(rows))
	for i, r := range rows {
		mine[r.ID], ids[i] = r, r.ID
	}
	held, err := q.StoredInquiries(ctx, ids)
	if err != nil {
		return err
	}
	for _, h := range held {
		if !sameInquiry(mine[h.ID], h) {
			return fault.New(fault.StateConflict)
		}
		if differs(mine[h.ID], h) {
			s.alertAnswerDiffers(ctx, h.ID)
		}
	}
	return nil
}

// differs reports whether the customer's answer is not what the row says, because the MVNO AP server got another one
// first.
func differs(answer billdb.Inquiry, held billdb.StoredInquiriesRow) bool {
	return answer.Status != string(bill.Processing) && (answer.Status != held.Status ||
		zero(answer.VersionID) != zero(held.VersionID) ||
		!zero(answer.ProcessedAt).Truncate(time.Microsecond).Equal(zero(held.ProcessedAt)))
}

func (s *Inquiries) alertAnswerDiffers(ctx context.Context, inquiry uuid.UUID) {
	if s.alerts != nil {
		s.alerts.Raise(ctx, operations.Alert{
			Kind: operations.HistoryDiffers, Subject: id.ID(inquiry).String(),
			Note: "the customer got another answer than the MVNO AP, whose answer history keeps",
		})
	}
}

// sameInquiry compares what never changes of an inquiry. Times are compared in PostgreSQL's microseconds.
func sameInquiry(a billdb.Inquiry, b billdb.StoredInquiriesRow) bool {
	return a.UserID == b.UserID && bytes.Equal(a.LineIndex, b.LineIndex) && a.Month == b.Month &&
		a.RequestedAt.Truncate(time.Microsecond).Equal(b.RequestedAt)
}

// columns turns rows into the arrays of the statement, where a zero value stands for NULL.
func columns(rows []billdb.Inquiry) billdb.AddInquiriesParams {
	n := len(rows)
	p := billdb.AddInquiriesParams{
		Ids: make([]uuid.UUID, n), UserIds: make([]string, n), CustomerIds: make([]string, n), LinesSealed: make([][]byte, n),
		LineIndexes: make([][]byte, n), Months: make([]string, n), Statuses: make([]string, n), Sources: make([]string, n),
		RequestedAts: make([]time.Time, n), ProcessedAts: make([]time.Time, n), AsOfs: make([]time.Time, n),
		VersionIds: make([]uuid.UUID, n), SummariesSealed: make([][]byte, n),
		FailureCodes: make([]string, n), TimedOuts: make([]bool, n),
		Attempts: make([]int64, n), NextAttemptAts: make([]time.Time, n), Fences: make([]int64, n),
		DeliveryStates: make([]string, n), DeliveryNextAts: make([]time.Time, n), TraceIds: make([]string, n),
	}
	for i, r := range rows {
		p.Ids[i], p.UserIds[i], p.CustomerIds[i], p.LinesSealed[i], p.LineIndexes[i] = r.ID, r.UserID, r.CustomerID,
			r.LineSealed, r.LineIndex
		p.TraceIds[i] = r.TraceID
		p.Months[i], p.Statuses[i], p.Sources[i], p.RequestedAts[i] = r.Month, r.Status, r.Source, r.RequestedAt
		p.ProcessedAts[i], p.AsOfs[i], p.VersionIds[i] = zero(r.ProcessedAt), zero(r.AsOf), zero(r.VersionID)
		p.SummariesSealed[i], p.FailureCodes[i], p.TimedOuts[i] = r.SummarySealed, r.FailureCode, r.TimedOut
		p.Attempts[i], p.NextAttemptAts[i], p.Fences[i] = r.Attempts, zero(r.NextAttemptAt), r.Fence
		p.DeliveryStates[i], p.DeliveryNextAts[i] = r.DeliveryState, zero(r.DeliveryNextAt)
	}
	return p
}

func zero[T any](v *T) T {
	if v == nil {
		return *new(T)
	}
	return *v
}
