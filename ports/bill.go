package ports

import (
	"context"
	"time"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
)

// BillSource is KOS as far as bills go.
type BillSource interface {
	// Bill asks KOS once; call.RequestID is passed on for tracing. BILL_NOT_FOUND and LINE_NOT_FOUND are KOS's answers;
	// everything else is SERVICE_UNAVAILABLE with a Retry-After where one is known, and ErrNotAsked or ErrNoAnswer in its
	// chain where they hold.
	Bill(ctx context.Context, call Call, n line.Number, m calendar.Month) (bill.Bill, error)
}

// Bills are the copies of bills, every answer of KOS a version (ADR 23).
type Bills interface {
	// Latest returns the newest version, or NOT_FOUND. One that the line's epoch hides (bill.Copy.HiddenBy) is NOT_FOUND
	// too. It may return an older version for a while after a newer one was stored; NOT_FOUND is always exact.
	Latest(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error)
	// LatestCommitted is Latest without that lag.
	LatestCommitted(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error)
	// Put stores a new version.
	Put(ctx context.Context, c bill.Copy) error
	// Version returns exactly that version, or NOT_FOUND.
	Version(ctx context.Context, n line.Number, m calendar.Month, version id.ID) (bill.Copy, error)
}

// Inquiries are the inquiry rows: request history, queue of unfinished work and outbox in one (UFR-BILL-040).
type Inquiries interface {
	// Add stores a new inquiry durably before it returns. A final one is at once due for delivery. One that is Processing is
	// leased to the caller until q.NextAttemptAt, after which Claim may hand it out. An error that is not CONFLICT leaves open whether it
	// is stored. One that is there already changes nothing (a replay), but for a final one, which is what the customer was told: it takes
	// the place of an unfinished or another answer under a newer fence, and is delivered as it says; unless the Outbox has handed out the
	// other answer: that one stays, and a person is told. Another inquiry under the same id is CONFLICT.
	Add(ctx context.Context, q bill.Inquiry) error
	// Get answers the inquiry, or NOT_FOUND.
	Get(ctx context.Context, inquiry id.ID) (bill.Inquiry, error)
	// Save stores status, answer and next attempt of a Processing inquiry. CONFLICT when the row is final already or has been
	// claimed since (its fence is newer than q.Fence): a late worker changes nothing.
	Save(ctx context.Context, q bill.Inquiry) error
	// Claim leases up to n Processing inquiries that are due at now, raising their fence and next attempt to now+lease. It counts one
	// attempt more for each: whoever dies before Save has made it. What the store cannot read it puts off, and tells a person; the others
	// are answered all the same.
	Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]bill.Inquiry, error)
	// History answers one page, newest first, and how many rows match in all. What cannot be read of a row is missing in it.
	History(ctx context.Context, f bill.HistoryFilter) (page []bill.Inquiry, total int, err error)
}

// InquiryBatches stores inquiries that were acknowledged elsewhere. It is the same store as Inquiries.
type InquiryBatches interface {
	// AddAll does what Inquiries.Add does for each, in one commit: they are seen together. On an error none is stored, but for CONFLICT,
	// which may leave the others stored.
	AddAll(ctx context.Context, all []bill.Inquiry) error
}
