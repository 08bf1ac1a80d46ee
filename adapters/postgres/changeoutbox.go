package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/delivery"
	"phonebill/ports"
)

// NewChangeOutbox is the outbox of the product database: the results of change orders.
func NewChangeOutbox(pool *pgxpool.Pool, vault ports.Vault) *Outbox[ports.ChangeResult] {
	rows := newOrderRows(vault)
	return &Outbox[ports.ChangeResult]{
		pool: pool, kind: delivery.ChangeResult,
		masked: func(ctx context.Context, events []uuid.UUID) (map[uuid.UUID]string, error) {
			found, err := productdb.New(pool).OrdersByID(ctx, events)
			all := make(map[uuid.UUID]string, len(found))
			for _, r := range found {
				number, _ := rows.lines.open(r.LineSealed, r.LineIndex, orderKeys(r.ID, r.UserID)...)
				all[r.ID] = number.String()
			}
			return all, err
		},
		bodies: func(ctx context.Context, tx pgx.Tx, events []uuid.UUID) (map[uuid.UUID]body[ports.ChangeResult], error) {
			found, err := productdb.New(tx).OrdersByID(ctx, events)
			all := make(map[uuid.UUID]body[ports.ChangeResult], len(found))
			for _, row := range found {
				all[row.ID] = changeResult(rows, row)
			}
			return all, err
		},
	}
}

func changeResult(rows orderRows, row productdb.ChangeOrder) body[ports.ChangeResult] {
	o, err := rows.noun(row)
	if err != nil {
		return body[ports.ChangeResult]{verdict: unreadable("order")}
	}
	return body[ports.ChangeResult]{body: ports.ChangeResult{Order: o}}
}
