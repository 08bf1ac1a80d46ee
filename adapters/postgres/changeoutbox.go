package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/delivery"
	"phonebill/ports"
)

// ChangeOutbox implements ports.Outbox[ports.ChangeResult] on the rows of Orders.
type ChangeOutbox struct {
	pool *pgxpool.Pool
	rows orderRows
}

var _ ports.Outbox[ports.ChangeResult] = (*ChangeOutbox)(nil)

// NewChangeOutbox works on the product database.
func NewChangeOutbox(pool *pgxpool.Pool, vault ports.Vault) *ChangeOutbox {
	return &ChangeOutbox{pool, newOrderRows(vault)}
}

// Claim leases due results.
func (c *ChangeOutbox) Claim(
	ctx context.Context, now time.Time, lease time.Duration, n int,
) ([]delivery.Item[ports.ChangeResult], error) {
	var rows []productdb.ChangeOrder
	err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		q := productdb.New(tx)
		err := q.LockDeliveries(ctx)
		if err != nil {
			return err
		}
		rows, err = q.ClaimDeliveries(ctx, productdb.ClaimDeliveriesParams{LeaseUntil: now.Add(lease), Now: now, N: int64(n)})
		return err
	})
	if err != nil {
		return nil, translate("claim change results", err)
	}
	orders, err := c.rows.nouns(rows)
	if err != nil {
		return nil, err
	}
	items := make([]delivery.Item[ports.ChangeResult], len(rows))
	for i, row := range rows {
		o := orders[i]
		items[i] = delivery.Item[ports.ChangeResult]{
			ID: o.ID, Line: o.Line, Sequence: *row.DeliverySequence, Attempts: int(row.DeliveryAttempts), CreatedAt: o.ProcessedAt,
			Fence: row.DeliveryFence, Body: ports.ChangeResult{Order: o},
		}
	}
	return items, nil
}

// Settle records an attempt and its consequence in one statement.
func (c *ChangeOutbox) Settle(
	ctx context.Context, i delivery.Item[ports.ChangeResult], a delivery.Attempt, s delivery.State, now, next time.Time,
) error {
	nextAt, deliveredAt := settled(s, now, next)
	rows, err := productdb.New(c.pool).SettleDelivery(ctx, productdb.SettleDeliveryParams{
		ID: uuid.UUID(i.ID), Fence: i.Fence, State: string(s), NextAt: nextAt, DeliveredAt: deliveredAt, At: now, Note: a.Note,
	})
	if err != nil {
		return translate("settle change result", err)
	}
	return conflict(rows)
}
