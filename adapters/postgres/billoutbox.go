package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/ports"
)

// BillOutbox implements ports.Outbox[ports.BillResult] on the rows of Inquiries.
type BillOutbox struct {
	pool   *pgxpool.Pool
	rows   inquiryRows
	sealer ports.Sealer[bill.Copy]
}

var _ ports.Outbox[ports.BillResult] = (*BillOutbox)(nil)

// NewBillOutbox works on the bill database.
func NewBillOutbox(pool *pgxpool.Pool, vault ports.Vault, sealer ports.Sealer[bill.Copy]) *BillOutbox {
	return &BillOutbox{pool, newInquiryRows(vault), sealer}
}

// Claim leases due results. One whose bill is not there is not handed out: it counts as a failed attempt, so it is tried again
// later and in the end parked for a person (delivery.After), and other lines' results go on.
func (o *BillOutbox) Claim(
	ctx context.Context, now time.Time, lease time.Duration, n int,
) ([]delivery.Item[ports.BillResult], error) {
	var rows []billdb.Inquiry
	err := pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		q := billdb.New(tx)
		err := q.LockDeliveries(ctx)
		if err != nil {
			return err
		}
		rows, err = q.ClaimDeliveries(ctx, billdb.ClaimDeliveriesParams{LeaseUntil: now.Add(lease), Now: now, N: int64(n)})
		return err
	})
	if err != nil {
		return nil, translate("claim bill results", err)
	}
	bills, err := o.bills(ctx, rows)
	if err != nil {
		return nil, err
	}
	items := make([]delivery.Item[ports.BillResult], 0, len(rows))
	for _, row := range rows {
		item, err := o.item(row, bills)
		if errors.Is(err, errNoBill) {
			err = o.putOff(ctx, item, now)
		} else if err == nil {
			items = append(items, item)
		}
		if err != nil {
			return nil, err
		}
	}
	return items, nil
}

var errNoBill = errors.New("bill version not found")

// bills reads the versions that the rows answered with, in one query.
func (o *BillOutbox) bills(ctx context.Context, rows []billdb.Inquiry) (map[uuid.UUID]*bill.Bill, error) {
	var versions []uuid.UUID
	for _, row := range rows {
		if row.VersionID != nil {
			versions = append(versions, *row.VersionID)
		}
	}
	if len(versions) == 0 {
		return nil, nil
	}
	sealed, err := billdb.New(o.pool).BillVersions(ctx, versions)
	if err != nil {
		return nil, translate("read bill versions", err)
	}
	bills := make(map[uuid.UUID]*bill.Bill, len(sealed))
	for _, s := range sealed {
		c, err := o.sealer.Open(s.Sealed)
		if err != nil {
			return nil, translate("open bill", err)
		}
		bills[s.ID] = &c.Bill
	}
	return bills, nil
}

func (o *BillOutbox) item(row billdb.Inquiry, bills map[uuid.UUID]*bill.Bill) (delivery.Item[ports.BillResult], error) {
	q, err := o.rows.noun(row)
	if err != nil {
		return delivery.Item[ports.BillResult]{}, translate("open inquiry", err)
	}
	item := delivery.Item[ports.BillResult]{
		ID: q.ID, Line: q.Line, Sequence: *row.DeliverySequence, Attempts: int(row.DeliveryAttempts), CreatedAt: q.ProcessedAt,
		Fence: row.DeliveryFence, Body: ports.BillResult{Inquiry: q},
	}
	if q.Status == bill.Completed {
		if item.Body.Bill = bills[uuid.UUID(q.Version)]; item.Body.Bill == nil {
			return item, errNoBill
		}
	}
	return item, nil
}

// putOff settles an item that cannot be told now.
func (o *BillOutbox) putOff(ctx context.Context, item delivery.Item[ports.BillResult], now time.Time) error {
	failed := delivery.Attempt{Outcome: delivery.Failed, Note: errNoBill.Error()}
	state, wait := delivery.After(item.CreatedAt, item.Attempts, failed, now, 1)
	return o.Settle(ctx, item, failed, state, now, now.Add(wait))
}

// Settle records an attempt and its consequence in one statement.
func (o *BillOutbox) Settle(
	ctx context.Context, i delivery.Item[ports.BillResult], a delivery.Attempt, s delivery.State, now, next time.Time,
) error {
	nextAt, deliveredAt := settled(s, now, next)
	rows, err := billdb.New(o.pool).SettleDelivery(ctx, billdb.SettleDeliveryParams{
		ID: uuid.UUID(i.ID), Fence: i.Fence, State: string(s), NextAt: nextAt, DeliveredAt: deliveredAt, At: now, Note: a.Note,
	})
	if err != nil {
		return translate("settle bill result", err)
	}
	return conflict(rows)
}
