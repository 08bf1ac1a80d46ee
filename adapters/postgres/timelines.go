package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// callsTimeout is how long the log of KOS calls may take; without it the timeline is returned with a gap.
const callsTimeout = time.Second

// mostRows is one row more than a timeline shows of a kind, to see whether there are more.
const mostRows = timeline.MaxPerKind + 1

// callsOf returns the calls that were made for a request, oldest first, and the gaps of that list.
func callsOf(
	ctx context.Context, pool *pgxpool.Pool, request id.ID, gaps []timeline.Gap,
) ([]audit.Call, []timeline.Gap) {
	ctx, cancel := context.WithTimeout(ctx, callsTimeout)
	defer cancel()
	rows, err := kosdb.New(pool).CallsOf(ctx, kosdb.CallsOfParams{RequestID: uuid.UUID(request), Most: mostRows})
	if err != nil {
		return nil, append(gaps, timeline.CallsUnavailable)
	}
	rows, gaps = newest(rows, gaps)
	return each(rows, func(r kosdb.CallsOfRow) audit.Call {
		return audit.Call{
			Operation: r.Operation, RequestID: request, AskedAt: r.AskedAt.UTC(), AnsweredAt: r.AnsweredAt.UTC(),
			Waited: time.Duration(r.WaitedMs) * time.Millisecond, Attempt: int(r.Attempt), Breaker: r.Breaker, Result: r.Result,
			HTTPStatus: int(r.HttpStatus),
		}
	}), gaps
}

// newest reverses rows that were read newest first, and reports whether there are too many of them.
func newest[R any](rows []R, gaps []timeline.Gap) ([]R, []timeline.Gap) {
	if len(rows) > timeline.MaxPerKind {
		rows = rows[:timeline.MaxPerKind]
		if !slices.Contains(gaps, timeline.Truncated) {
			gaps = append(gaps, timeline.Truncated)
		}
	}
	slices.Reverse(rows)
	return rows, gaps
}

// nouns maps the rows of a query, or returns its error, translated.
func nouns[R, N any](rows []R, err error, doing string, noun func(R) N) ([]N, error) {
	if err != nil {
		return nil, translate(doing, err)
	}
	return each(rows, noun), nil
}

func each[R, N any](rows []R, noun func(R) N) []N {
	out := make([]N, len(rows))
	for i, r := range rows {
		out[i] = noun(r)
	}
	return out
}

// atOnce reads everything in one snapshot.
func atOnce(ctx context.Context, pool *pgxpool.Pool, read func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, read)
}

// deliveriesOf returns the attempts to deliver a request's event, the oldest first.
func deliveriesOf(
	ctx context.Context, tx requestdb.DBTX, event uuid.UUID, gaps []timeline.Gap,
) ([]delivery.AttemptRecord, []timeline.Gap, error) {
	rows, err := requestdb.New(tx).AttemptsOf(ctx, requestdb.AttemptsOfParams{EventID: event, Most: mostRows})
	if err != nil {
		return nil, gaps, err
	}
	rows, gaps = newest(rows, gaps)
	return each(rows, func(r requestdb.AttemptsOfRow) delivery.AttemptRecord {
		return delivery.AttemptRecord{At: r.At.UTC(), State: delivery.State(r.State), Note: r.Note}
	}), gaps, nil
}

// BillTimelines implements ports.Timelines of bill inquiries: two queries of the bill database and one of the kos
// database.
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
	row, err := billdb.New(tx).InquiryTimeline(ctx, inquiry)
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

// ChangeTimelines implements ports.Timelines of plan changes with four queries of the product database and one of the
// kos database.
type ChangeTimelines struct {
	pool, kos *pgxpool.Pool
	rows      orderRows
}

var _ ports.Timelines = (*ChangeTimelines)(nil)

// NewChangeTimelines reads the product database and the kos database.
func NewChangeTimelines(pool, kos *pgxpool.Pool, vault ports.Vault) *ChangeTimelines {
	return &ChangeTimelines{pool, kos, newOrderRows(vault)}
}

// ByRequest returns the timeline of an order.
func (s *ChangeTimelines) ByRequest(ctx context.Context, request id.ID) (timeline.Timeline, error) {
	var o timeline.Order
	err := atOnce(ctx, s.pool, func(tx pgx.Tx) (err error) {
		o, err = s.read(ctx, tx, uuid.UUID(request))
		return err
	})
	if err != nil {
		return timeline.Timeline{}, translate("read the timeline of an order", err, fault.ResourceNotFound)
	}
	o.Calls, o.Gaps = callsOf(ctx, s.kos, request, o.Gaps)
	return o.Timeline(), nil
}

func (s *ChangeTimelines) read(ctx context.Context, tx pgx.Tx, order uuid.UUID) (timeline.Order, error) {
	q := productdb.New(tx)
	row, err := q.OrderTimeline(ctx, order)
	if err != nil {
		return timeline.Order{}, err
	}
	o, err := s.order(order, row)
	if err != nil {
		return o, err
	}
	steps, err := q.StepsOf(ctx, productdb.StepsOfParams{OrderID: order, Most: mostRows})
	if err != nil {
		return o, err
	}
	decisions, err := q.DecisionsOf(ctx, productdb.DecisionsOfParams{OrderID: order, Most: mostRows})
	if err != nil {
		return o, err
	}
	steps, o.Gaps = newest(steps, o.Gaps)
	decisions, o.Gaps = newest(decisions, o.Gaps)
	o.Steps, o.Decisions = each(steps, stepOf), each(decisions, decisionOf)
	o.Deliveries.Attempts, o.Gaps, err = deliveriesOf(ctx, tx, order, o.Gaps)
	return o, err
}

func (s *ChangeTimelines) order(order uuid.UUID, row productdb.OrderTimelineRow) (timeline.Order, error) {
	// One that cannot be opened is shown without its line.
	number, _ := s.rows.lines.open(row.LineSealed, row.LineIndex, orderKeys(order, row.UserID)...)
	day, err := calendar.ParseDate("effective_date", row.EffectiveDate.Format(time.DateOnly))
	return timeline.Order{
		Line: number.String(),
		Row: product.Order{
			ID: id.ID(order), TransactionID: id.ID(row.TransactionID), From: row.FromCode, To: row.ToCode, EffectiveDate: day,
			State: product.State(row.State), RequestedAt: row.RequestedAt.UTC(), FailureReason: row.FailureReason,
			KOSOrder: row.KosOrder, NextAttemptAt: row.NextAttemptAt.UTC(),
		},
		Deliveries: timeline.Deliveries{ReplayedAt: moment(row.DeliveryReplayedAt)},
		NotifiedAt: moment(row.NotifiedAt), Notices: int(row.NotifyAttempts),
	}, err
}

func stepOf(r productdb.StepsOfRow) timeline.Step {
	return timeline.Step{
		At: r.At.UTC(), State: product.State(r.State), Code: r.ResultCode, Sends: int(r.Sends), Note: r.Note,
		NextAt: moment(r.NextAt),
	}
}

func decisionOf(r productdb.DecisionsOfRow) timeline.Decision {
	return timeline.Decision{
		Resolution: product.Resolution{
			Outcome: product.Outcome(r.Outcome), Reason: r.Reason, By: auth.UserID(r.ByUser), At: r.At.UTC(),
		},
		Applied: r.Applied,
	}
}
