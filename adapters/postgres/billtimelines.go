package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// BillTimelines implements ports.Timelines of bill inquiries: two queries of the bill database and one of the kos database.
type BillTimelines struct {
	pool, kos *pgxpool.Pool
	rows      inquiryRows
}

var _ ports.Timelines = (*BillTimelines)(nil)

// NewBillTimelines reads the bill database and the kos database.
func NewBillTimelines(pool, kos *pgxpool.Pool, vault ports.Vault) *BillTimelines {
	return &BillTimelines{pool, kos, newInquiryRows(vault)}
}

// ByRequest returns the timeline of an inquiry.
func (s *BillTimelines) ByRequest(ctx context.Context, request id.ID) (timeline.Timeline, error) {
	var q timeline.Inquiry
	err := atOnce(ctx, s.pool, func(tx pgx.Tx) (err error) {
		q, err = s.read(ctx, tx, uuid.UUID(request))
		return err
	})
	if err != nil {
		return timeline.Timeline{}, translate("read the timeline of an inquiry", err, fault.ResourceNotFound)
	}
	q.Calls, q.Gaps = callsOf(ctx, s.kos, request, q.Gaps)
	return q.Timeline(), nil
}

func (s *BillTimelines) read(ctx context.Context, tx pgx.Tx, inquiry uuid.UUID) (timeline.Inquiry, error) {
	row, err := billdb.New(tx).InquiryTold(ctx, inquiry)
	if err != nil {
		return timeline.Inquiry{}, err
	}
	month, err := calendar.ParseMonth(row.Month)
	if err != nil {
		return timeline.Inquiry{}, err
	}
	made, gaps, err := deliveriesOf(ctx, tx, inquiry, nil)
	if err != nil {
		return timeline.Inquiry{}, err
	}
	// One that cannot be opened is shown without its line.
	number, _ := s.rows.lines.open(row.LineSealed, row.LineIndex, inquiryKeys(inquiry, row.UserID, row.Month)...)
	return timeline.Inquiry{
		Line: number.String(),
		Row: bill.Inquiry{
			ID: id.ID(inquiry), Month: month, Status: bill.Status(row.Status), Source: freshness.Source(row.Source),
			RequestedAt: row.RequestedAt.UTC(), ProcessedAt: moment(row.ProcessedAt), AsOf: moment(row.AsOf),
			FailureCode: fault.Code(row.FailureCode), Attempts: int(row.Attempts), NextAttemptAt: moment(row.NextAttemptAt),
		},
		Deliveries: timeline.Deliveries{ReplayedAt: moment(row.DeliveryReplayedAt), Attempts: made},
		Gaps:       gaps,
	}, nil
}
