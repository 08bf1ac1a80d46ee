package vault

import (
	"errors"
	"time"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/ports"
)

// Inquiries returns the sealer of inquiries, format version 1.
func Inquiries(v ports.Vault) ports.Sealer[bill.Inquiry] {
	return sealer[bill.Inquiry, inquiryRow]{v, "inquiry", 1, toInquiryRow, fromInquiryRow}
}

type inquiryRow struct {
	ID          string    `json:"id"`
	UserID      string    `json:"user"`
	CustomerID  string    `json:"customer"`
	Line        string    `json:"line"`
	Month       string    `json:"month"`
	Status      string    `json:"status"`
	Source      string    `json:"source,omitempty"`
	Requested   time.Time `json:"requested"`
	Processed   time.Time `json:"processed,omitzero"`
	AsOf        time.Time `json:"asOf,omitzero"`
	Version     string    `json:"version,omitempty"`
	Summary     string    `json:"summary,omitempty"`
	FailureCode string    `json:"failure,omitempty"`
	Attempts    int       `json:"attempts,omitempty"`
	NextAttempt time.Time `json:"next,omitzero"`
	Fence       int64     `json:"fence,omitempty"`
	TraceID     string    `json:"trace,omitempty"`
}

func toInquiryRow(q bill.Inquiry) inquiryRow {
	row := inquiryRow{
		ID: q.ID.String(), UserID: string(q.UserID), CustomerID: q.CustomerID, Line: q.Line.Digits(), Month: q.Month.String(),
		Status: string(q.Status), Source: string(q.Source), Requested: q.RequestedAt, Processed: q.ProcessedAt, AsOf: q.AsOf,
		Summary: q.Summary, FailureCode: string(q.FailureCode), Attempts: q.Attempts, NextAttempt: q.NextAttemptAt,
		Fence:   q.Fence,
		TraceID: q.TraceID,
	}
	if !q.Version.IsZero() {
		row.Version = q.Version.String()
	}
	return row
}

func fromInquiryRow(r inquiryRow) (bill.Inquiry, error) {
	own, err1 := id.Parse(r.ID)
	n, err2 := line.Parse(r.Line)
	m, err3 := calendar.ParseMonth(r.Month)
	var version id.ID
	var err4 error
	if r.Version != "" {
		version, err4 = id.Parse(r.Version)
	}
	return bill.Inquiry{
		ID: own, UserID: auth.UserID(r.UserID), CustomerID: r.CustomerID, Line: n, Month: m, Status: bill.Status(r.Status),
		Source: freshness.Source(r.Source), RequestedAt: r.Requested, ProcessedAt: r.Processed, AsOf: r.AsOf,
		Version: version, Summary: r.Summary, FailureCode: fault.Code(r.FailureCode), Attempts: r.Attempts,
		NextAttemptAt: r.NextAttempt, Fence: r.Fence,
		TraceID: r.TraceID,
	}, errors.Join(err1, err2, err3, err4)
}
