package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// ChangeTimelines implements ports.Timelines of plan changes: four queries of the product database and one of the kos database, whatever
// the order has been through.
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
	row, err := q.OrderTold(ctx, order)
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
	words, err := q.WordsOf(ctx, productdb.WordsOfParams{OrderID: order, Most: mostRows})
	if err != nil {
		return o, err
	}
	steps, o.Gaps = newest(steps, o.Gaps)
	words, o.Gaps = newest(words, o.Gaps)
	o.Steps, o.Decisions = each(steps, stepOf), each(words, wordOf)
	o.Deliveries.Attempts, o.Gaps, err = deliveriesOf(ctx, tx, order, o.Gaps)
	return o, err
}

func (s *ChangeTimelines) order(order uuid.UUID, row productdb.OrderToldRow) (timeline.Order, error) {
	// One that cannot be opened is shown without its line.
	number, _ := s.rows.lines.open(row.LineSealed, row.LineIndex, orderKeys(order, row.UserID)...)
	day, err := calendar.ParseDate("effective_date", row.EffectiveDate.Format(time.DateOnly))
	return timeline.Order{
		Line: number.String(),
		Row: product.Order{
			ID: id.ID(order), TransactionID: id.ID(row.TransactionID), From: row.FromCode, To: row.ToCode, EffectiveDate: day,
			State: product.State(row.State), RequestedAt: row.RequestedAt.UTC(), FailureReason: row.FailureReason, KOSOrder: row.KosOrder,
			NextAttemptAt: row.NextAttemptAt.UTC(),
		},
		Deliveries: timeline.Deliveries{ReplayedAt: moment(row.DeliveryReplayedAt)},
		NotifiedAt: moment(row.NotifiedAt), Notices: int(row.NotifyAttempts),
	}, err
}

func stepOf(r productdb.StepsOfRow) timeline.Step {
	return timeline.Step{
		At: r.At.UTC(), State: product.State(r.State), Code: r.ResultCode, Sends: int(r.Sends), Note: r.Note, NextAt: moment(r.NextAt),
	}
}

func wordOf(r productdb.WordsOfRow) timeline.Decision {
	return timeline.Decision{
		Resolution: product.Resolution{Outcome: product.Outcome(r.Outcome), Reason: r.Reason, By: auth.UserID(r.ByUser), At: r.At.UTC()},
		Applied:    r.Applied,
	}
}
