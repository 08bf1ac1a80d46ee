package postgres

import (
	"errors"

	"github.com/google/uuid"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// summaryPlace is where the summary of an inquiry is stored; like the line it is bound to what never changes of the
// row.
func summaryPlace(row billdb.Inquiry) sealing.Place {
	return sealing.At("bill.inquiries.summary",
		append(inquiryKeys(row.ID, row.UserID, row.Month), string(row.LineIndex))...)
}

// inquiryKeys are what an inquiry's line is bound to besides its index.
func inquiryKeys(inquiry uuid.UUID, user, month string) []string {
	return []string{key(inquiry), user, month}
}

// inquiryRows maps inquiries; Inquiries and BillOutbox share it.
type inquiryRows struct {
	vault ports.Vault
	lines lines
}

func newInquiryRows(vault ports.Vault) inquiryRows {
	return inquiryRows{vault, lines{vault, "bill.inquiries.line"}}
}

// row seals an inquiry, without what only deliveries change.
func (r inquiryRows) row(q bill.Inquiry) (billdb.Inquiry, error) {
	sealedLine, err1 := r.lines.seal(q.Line, inquiryKeys(uuid.UUID(q.ID), string(q.UserID), q.Month.String())...)
	state, next := due(q.Status != bill.Processing, q.ProcessedAt)
	row := billdb.Inquiry{
		ID: uuid.UUID(q.ID), UserID: string(q.UserID), CustomerID: q.CustomerID, LineSealed: sealedLine,
		LineIndex: r.lines.index(q.Line), Month: q.Month.String(), Status: string(q.Status.Public()),
		TimedOut: q.Status == bill.Timeout, Source: string(q.Source), RequestedAt: q.RequestedAt,
		ProcessedAt: optional(q.ProcessedAt), AsOf: optional(q.AsOf), VersionID: optionalID(q.Version),
		FailureCode: string(q.FailureCode), Attempts: int64(q.Attempts), NextAttemptAt: optional(q.NextAttemptAt),
		Fence: q.Fence, DeliveryState: string(state), DeliveryNextAt: next, TraceID: q.TraceID,
	}
	var err2 error
	row.SummarySealed, err2 = sealOptional(r.vault, summaryPlace(row), []byte(q.Summary))
	return row, errors.Join(err1, err2)
}

func (r inquiryRows) noun(row billdb.Inquiry) (bill.Inquiry, error) {
	n, err1 := r.lines.open(row.LineSealed, row.LineIndex, inquiryKeys(row.ID, row.UserID, row.Month)...)
	summary, err2 := openOptional(r.vault, summaryPlace(row), row.SummarySealed)
	m, err3 := calendar.ParseMonth(row.Month)
	return bill.Inquiry{
		ID: id.ID(row.ID), UserID: auth.UserID(row.UserID), CustomerID: row.CustomerID, Line: n, Month: m,
		Status: statusOf(row), Source: freshness.Source(row.Source), RequestedAt: row.RequestedAt.UTC(),
		ProcessedAt: moment(row.ProcessedAt), AsOf: moment(row.AsOf), Version: someID(row.VersionID),
		Summary: string(summary), FailureCode: fault.Code(row.FailureCode), Attempts: int(row.Attempts),
		NextAttemptAt: moment(row.NextAttemptAt), Fence: row.Fence, TraceID: row.TraceID,
	}, errors.Join(err1, err2, err3)
}

// statusOf returns the status; a timeout is FAILED in the row, for the previous release, indexes and filters.
func statusOf(row billdb.Inquiry) bill.Status {
	if row.TimedOut {
		return bill.Timeout
	}
	return bill.Status(row.Status)
}

// shown maps a page of history. Parts of a row that cannot be opened are left out, except for its line.
func (r inquiryRows) shown(rows []billdb.Inquiry, of []line.Number) []bill.Inquiry {
	known, page := r.lines.known(of), make([]bill.Inquiry, len(rows))
	for i, row := range rows {
		var err error
		if page[i], err = r.noun(row); err != nil {
			page[i].Line = known(row.LineIndex)
		}
	}
	return page
}
