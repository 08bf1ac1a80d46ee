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

// MonthSource is KOS as far as it states which months of a line have a bill.
type MonthSource interface {
	// Months asks KOS once. The months are in any order, none for a line without bills. LINE_NOT_FOUND is KOS's answer;
	// everything else is SERVICE_UNAVAILABLE, as with BillSource.
	Months(ctx context.Context, call Call, n line.Number) ([]calendar.Month, error)
}

// BillMonths are the last good copies of the months that have a bill. No epoch hides them: a change of plan adds and
// removes no bill.
type BillMonths interface {
	// Latest returns the newest copy, or NOT_FOUND. It may return an older copy for a while after a newer one was stored;
	// NOT_FOUND is always exact.
	Latest(ctx context.Context, n line.Number) (bill.MonthsCopy, error)
	// LatestCommitted is Latest without that lag.
	LatestCommitted(ctx context.Context, n line.Number) (bill.MonthsCopy, error)
	// Put replaces the copy unless the stored one is newer.
	Put(ctx context.Context, c bill.MonthsCopy) error
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
	// Add stores a new inquiry durably before it returns. A final one is at once due for delivery. A Processing one is
	// leased to the caller until q.NextAttemptAt, after which Claim may return it. After an error other than CONFLICT it
	// may be stored or not. Adding an inquiry that is stored already changes nothing, unless q is final: the customer has
	// seen that answer, so it replaces the stored one under a newer fence and is delivered. If the Outbox has handed out
	// the stored answer, that one stays, and an alert is raised. Another inquiry under the same id is CONFLICT.
	Add(ctx context.Context, q bill.Inquiry) error
	// Get returns the inquiry, or NOT_FOUND.
	Get(ctx context.Context, inquiry id.ID) (bill.Inquiry, error)
	// Save stores status, answer and next attempt of a Processing inquiry. CONFLICT when the row is final already or has
	// been claimed since (its fence is newer than q.Fence): a late worker changes nothing.
	Save(ctx context.Context, q bill.Inquiry) error
	// Claim leases up to n Processing inquiries that are due at now, raising their fence and next attempt to now+lease,
	// and counts one more attempt for each, made or not. A row that cannot be read is put off and raises an alert.
	Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]bill.Inquiry, error)
	// History returns one page, newest first, and the number of all matches. Fields that cannot be read are left out.
	History(ctx context.Context, f bill.HistoryFilter) (page []bill.Inquiry, total int, err error)
}

// InquiryBatches stores inquiries that were acknowledged elsewhere. It is the same store as Inquiries.
type InquiryBatches interface {
	// AddAll does what Inquiries.Add does for each, in one commit. On an error none is stored, but others on CONFLICT.
	AddAll(ctx context.Context, all []bill.Inquiry) error
}
