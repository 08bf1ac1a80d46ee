package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// ChangeOutbox implements ports.Outbox[ports.ChangeResult] and ports.Deliveries on the rows of Orders. A line's lease, and the time until
// which it waits, is that of its first event, so the release before, which leases single events, may run on the same database.
type ChangeOutbox struct {
	pool   *pgxpool.Pool
	rows   orderRows
	rounds rounds
}

var (
	_ ports.Outbox[ports.ChangeResult] = (*ChangeOutbox)(nil)
	_ ports.Deliveries                 = (*ChangeOutbox)(nil)
)

// NewChangeOutbox works on the product database.
func NewChangeOutbox(pool *pgxpool.Pool, vault ports.Vault) *ChangeOutbox {
	return &ChangeOutbox{pool: pool, rows: newOrderRows(vault)}
}

// Claim leases lines with results to tell. One that cannot be opened is to be parked at once.
func (o *ChangeOutbox) Claim(
	ctx context.Context, now time.Time, lease time.Duration, lines, each int,
) ([][]delivery.Item[ports.ChangeResult], error) {
	rows, err := o.claim(ctx, now, now.Add(lease), lines, each)
	if err != nil || len(rows) == 0 {
		return nil, translate("claim change results", err)
	}
	var claimed [][]delivery.Item[ports.ChangeResult]
	for _, of := range batches(rows, func(r productdb.ChangeOrder) []byte { return r.LineIndex },
		func(r productdb.ChangeOrder) *int64 { return r.DeliverySequence }) {
		batch := make([]delivery.Item[ports.ChangeResult], len(of))
		for i, row := range of {
			batch[i] = o.item(row)
		}
		claimed = append(claimed, batch)
	}
	return claimed, nil
}

func (o *ChangeOutbox) claim(ctx context.Context, now, until time.Time, lines, each int) (rows []productdb.ChangeOrder, err error) {
	err = pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		q := productdb.New(tx)
		if err := q.LockDeliveries(ctx); err != nil {
			return err
		}
		due, err := o.rounds.due(lines, func(after []byte, most int64) ([]head, error) {
			found, err := q.PendingLines(ctx, productdb.PendingLinesParams{Now: now, After: after, Most: most})
			heads := make([]head, len(found))
			for i, f := range found {
				heads[i] = head{f.LineIndex, f.Due}
			}
			return heads, err
		})
		if err != nil || len(due) == 0 {
			return err
		}
		rows, err = q.ClaimDeliveries(ctx, productdb.ClaimDeliveriesParams{LeaseUntil: until, Lines: due, Each: int64(each)})
		return err
	})
	return rows, err
}

func (o *ChangeOutbox) item(row productdb.ChangeOrder) delivery.Item[ports.ChangeResult] {
	item := delivery.Item[ports.ChangeResult]{
		ID: id.ID(row.ID), Sequence: *row.DeliverySequence, Attempts: int(row.DeliveryAttempts), Fence: row.DeliveryFence,
		CreatedAt: began(row.ProcessedAt, row.DeliveryReplayedAt),
	}
	order, err := o.rows.noun(row)
	if err != nil {
		item.Verdict = unreadable("order")
		return item
	}
	item.Line, item.Body.Order = order.Line, order
	return item
}

// Settle records what became of claimed results in one statement.
func (o *ChangeOutbox) Settle(ctx context.Context, now time.Time, items ...delivery.Settled) error {
	c := settlementsOf(items)
	n, err := productdb.New(o.pool).SettleDeliveries(ctx, productdb.SettleDeliveriesParams{
		Ids: c.ids, Fences: c.fences, States: c.states, NextAts: c.nextAts, Made: c.made, Notes: c.notes, At: now,
	})
	if err != nil {
		return translate("settle change results", err)
	}
	return c.all(n)
}

// List answers one page of the events and how many there are, counted no further than delivery.MostCounted.
func (o *ChangeOutbox) List(ctx context.Context, f delivery.Filter) ([]delivery.Told, int, error) {
	q, since := productdb.New(o.pool), uuid.UUID(id.At(f.Since))
	total, err := q.CountDeliveries(ctx, productdb.CountDeliveriesParams{State: string(f.State), Since: since, Most: delivery.MostCounted})
	if err != nil {
		return nil, 0, translate("count deliveries", err)
	}
	rows, err := q.Deliveries(ctx, productdb.DeliveriesParams{
		State: string(f.State), Since: since, Skip: skip(f.Page, f.Size), Size: int64(f.Size),
	})
	if err != nil {
		return nil, 0, translate("read deliveries", err)
	}
	page := make([]delivery.Told, len(rows))
	for i, r := range rows {
		// One that cannot be opened is shown without its line.
		number, _ := o.rows.lines.open(r.LineSealed, r.LineIndex, orderKeys(r.ID, r.UserID)...)
		page[i] = delivery.Told{
			ID: id.ID(r.ID), Kind: delivery.ChangeResult, Line: number.String(), State: delivery.State(r.DeliveryState),
			Sequence: counted(r.DeliverySequence), Attempts: int(r.DeliveryAttempts), FinalAt: moment(r.ProcessedAt),
			NextAt: moment(r.DeliveryNextAt), DeliveredAt: moment(r.DeliveredAt), ReplayedAt: moment(r.DeliveryReplayedAt),
		}
	}
	err = attemptsOf(ctx, page, func(ctx context.Context, events []uuid.UUID) ([]productdb.LastAttemptsRow, error) {
		return q.LastAttempts(ctx, productdb.LastAttemptsParams{Events: events, Most: delivery.MostShown})
	}, func(r productdb.LastAttemptsRow) (id.ID, delivery.Made) {
		return id.ID(r.EventID), delivery.Made{At: r.At.UTC(), State: delivery.State(r.State), Note: r.Note}
	})
	return page, int(total), err
}

// Replay makes an event pending again.
func (o *ChangeOutbox) Replay(ctx context.Context, event id.ID, now time.Time) error {
	err := pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		q := productdb.New(tx)
		if err := q.LockDeliveries(ctx); err != nil {
			return err
		}
		if _, err := q.DeliveryOf(ctx, uuid.UUID(event)); err != nil {
			return err
		}
		changed, err := q.ReplayDelivery(ctx, productdb.ReplayDeliveryParams{ID: uuid.UUID(event), Now: now})
		if err != nil {
			return err
		}
		return conflict(changed)
	})
	return translate("replay a change result", err, fault.ResourceNotFound)
}
