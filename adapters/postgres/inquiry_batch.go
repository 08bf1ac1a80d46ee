package postgres

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/operations"
)

// historyWriters is how many commits of new inquiries are under way at a time (S-HISTORY-BATCH).
const historyWriters = 2

// blamesARow tells that a statement failed for what was in it, not because the database is in trouble or hung: one of its rows may be
// stored without the others.
func blamesARow(err error) bool { return !inTrouble(err) && !errors.Is(err, context.Canceled) }

// insert stores the rows in one statement, all or none. Rows that are there already are none too many (a replay); another row under
// the same id is CONFLICT. A statement cannot take one id twice: such rows are split.
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
			s.tellDiffers(ctx, h.ID)
		}
	}
	return nil
}

// differs tells that the customer was told something else than the row says: the AP was faster to be told that.
func differs(told billdb.Inquiry, held billdb.StoredInquiriesRow) bool {
	return told.Status != string(bill.Processing) && (told.Status != held.Status || zero(told.VersionID) != zero(held.VersionID) ||
		!zero(told.ProcessedAt).Truncate(time.Microsecond).Equal(zero(held.ProcessedAt)))
}

func (s *Inquiries) tellDiffers(ctx context.Context, inquiry uuid.UUID) {
	if s.alerts != nil {
		s.alerts.Raise(ctx, operations.Alert{
			Kind: operations.HistoryDiffers, Subject: id.ID(inquiry).String(),
			Note: "the customer was told another answer than the MVNO AP, whose answer history keeps",
		})
	}
}

// sameInquiry compares what never changes of an inquiry. Times are compared in PostgreSQL's grain.
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
		VersionIds: make([]uuid.UUID, n), SummariesSealed: make([][]byte, n), FailureCodes: make([]string, n), TimedOuts: make([]bool, n),
		Attempts: make([]int64, n), NextAttemptAts: make([]time.Time, n), Fences: make([]int64, n), DeliveryStates: make([]string, n),
		DeliveryNextAts: make([]time.Time, n), TraceIds: make([]string, n),
	}
	for i, r := range rows {
		p.Ids[i], p.UserIds[i], p.CustomerIds[i], p.LinesSealed[i], p.LineIndexes[i] = r.ID, r.UserID, r.CustomerID, r.LineSealed, r.LineIndex
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
