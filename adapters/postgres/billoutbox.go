package postgres

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// BillOutbox implements ports.Outbox[ports.BillResult] and ports.Deliveries on the rows of Inquiries. A line's lease, and the time until
// which it waits, is that of its first event, so the release before, which leases single events, may run on the same database.
type BillOutbox struct {
	pool   *pgxpool.Pool
	rows   inquiryRows
	sealer ports.Sealer[bill.Copy]
	rounds rounds
}

var (
	_ ports.Outbox[ports.BillResult] = (*BillOutbox)(nil)
	_ ports.Deliveries               = (*BillOutbox)(nil)
)

// NewBillOutbox works on the bill database.
func NewBillOutbox(pool *pgxpool.Pool, vault ports.Vault, sealer ports.Sealer[bill.Copy]) *BillOutbox {
	return &BillOutbox{pool: pool, rows: newInquiryRows(vault), sealer: sealer}
}

// Claim leases lines with results to tell. One whose bill is not there counts as a failed attempt, so it is tried again later and in the
// end parked (delivery.After); one that cannot be opened is to be parked at once.
func (o *BillOutbox) Claim(
	ctx context.Context, now time.Time, lease time.Duration, lines, each int,
) ([][]delivery.Item[ports.BillResult], error) {
	rows, err := o.claim(ctx, now, now.Add(lease), lines, each)
	if err != nil || len(rows) == 0 {
		return nil, translate("claim bill results", err)
	}
	bills, err := o.bills(ctx, rows)
	if err != nil {
		return nil, err
	}
	var claimed [][]delivery.Item[ports.BillResult]
	for _, of := range batches(rows, func(r billdb.Inquiry) []byte { return r.LineIndex },
		func(r billdb.Inquiry) *int64 { return r.DeliverySequence }) {
		batch := make([]delivery.Item[ports.BillResult], len(of))
		for i, row := range of {
			batch[i] = o.item(row, bills)
		}
		claimed = append(claimed, batch)
	}
	return claimed, nil
}

func (o *BillOutbox) claim(ctx context.Context, now, until time.Time, lines, each int) (rows []billdb.Inquiry, err error) {
	err = pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		q := billdb.New(tx)
		if err := q.LockDeliveries(ctx); err != nil {
			return err
		}
		due, err := o.rounds.due(lines, func(after []byte, most int64) ([]head, error) {
			found, err := q.PendingLines(ctx, billdb.PendingLinesParams{Now: now, After: after, Most: most})
			heads := make([]head, len(found))
			for i, f := range found {
				heads[i] = head{f.LineIndex, f.Due}
			}
			return heads, err
		})
		if err != nil || len(due) == 0 {
			return err
		}
		rows, err = q.ClaimDeliveries(ctx, billdb.ClaimDeliveriesParams{LeaseUntil: until, Lines: due, Each: int64(each)})
		return err
	})
	return rows, err
}

// storedBill is a bill version, or why it cannot be told.
type storedBill struct {
	copy    bill.Copy
	verdict *delivery.Attempt
}

// bills reads the versions that the rows answered with, in one query, each once.
func (o *BillOutbox) bills(ctx context.Context, rows []billdb.Inquiry) (map[uuid.UUID]storedBill, error) {
	bills := map[uuid.UUID]storedBill{}
	var versions []uuid.UUID
	for _, row := range rows {
		if row.VersionID == nil {
			continue
		}
		if _, known := bills[*row.VersionID]; !known {
			bills[*row.VersionID] = storedBill{verdict: &delivery.Attempt{
				Outcome: delivery.Failed, Note: "the bill version is not there",
			}}
			versions = append(versions, *row.VersionID)
		}
	}
	if len(versions) == 0 {
		return bills, nil
	}
	sealed, err := billdb.New(o.pool).BillVersions(ctx, versions)
	if err != nil {
		return nil, translate("read bill versions", err)
	}
	for _, s := range sealed {
		at := versionPlace(s.ID, s.LineIndex, s.Month)
		c, err := o.sealer.Open(at, s.Sealed)
		if err == nil && (!bytes.Equal(o.rows.lines.index(c.Bill.Line), s.LineIndex) || c.Bill.Month.String() != s.Month) {
			err = o.rows.vault.Refuse(at, errMisplaced)
		}
		if err != nil {
			bills[s.ID] = storedBill{verdict: unreadable("bill")}
			continue
		}
		bills[s.ID] = storedBill{copy: c}
	}
	return bills, nil
}

func (o *BillOutbox) item(row billdb.Inquiry, bills map[uuid.UUID]storedBill) delivery.Item[ports.BillResult] {
	item := delivery.Item[ports.BillResult]{
		ID: id.ID(row.ID), Sequence: *row.DeliverySequence, Attempts: int(row.DeliveryAttempts), Fence: row.DeliveryFence,
		CreatedAt: began(row.ProcessedAt, row.DeliveryReplayedAt),
	}
	q, err := o.rows.noun(row)
	if err != nil {
		item.Verdict = unreadable("inquiry")
		return item
	}
	item.Line, item.Body.Inquiry = q.Line, q
	if q.Status == bill.Completed {
		stored := bills[uuid.UUID(q.Version)]
		b := stored.copy.Bill
		if stored.verdict == nil && (b.Line != q.Line || b.Month != q.Month) { // another customer's bill is never delivered
			_ = o.rows.vault.Refuse(sealing.At("bill.inquiries.version_id", key(row.ID)), errMisplaced)
			stored = storedBill{verdict: unreadable("bill")}
		}
		item.Verdict = stored.verdict
		if stored.verdict == nil {
			item.Body.Inquiry, item.Body.Bill = q.Recall(stored.copy)
		}
	}
	return item
}

// Settle records what became of claimed results in one statement.
func (o *BillOutbox) Settle(ctx context.Context, now time.Time, items ...delivery.Settled) error {
	c := settlementsOf(items)
	n, err := billdb.New(o.pool).SettleDeliveries(ctx, billdb.SettleDeliveriesParams{
		Ids: c.ids, Fences: c.fences, States: c.states, NextAts: c.nextAts, Made: c.made, Notes: c.notes, At: now,
	})
	if err != nil {
		return translate("settle bill results", err)
	}
	return c.all(n)
}

// List answers one page of the events and how many there are, counted no further than delivery.MostCounted.
func (o *BillOutbox) List(ctx context.Context, f delivery.Filter) ([]delivery.Told, int, error) {
	q, since := billdb.New(o.pool), uuid.UUID(id.At(f.Since))
	total, err := q.CountDeliveries(ctx, billdb.CountDeliveriesParams{State: string(f.State), Since: since, Most: delivery.MostCounted})
	if err != nil {
		return nil, 0, translate("count deliveries", err)
	}
	rows, err := q.Deliveries(ctx, billdb.DeliveriesParams{
		State: string(f.State), Since: since, Skip: skip(f.Page, f.Size), Size: int64(f.Size),
	})
	if err != nil {
		return nil, 0, translate("read deliveries", err)
	}
	page := make([]delivery.Told, len(rows))
	for i, r := range rows {
		// One that cannot be opened is shown without its line.
		number, _ := o.rows.lines.open(r.LineSealed, r.LineIndex, inquiryKeys(r.ID, r.UserID, r.Month)...)
		page[i] = delivery.Told{
			ID: id.ID(r.ID), Kind: delivery.BillResult, Line: number.String(), State: delivery.State(r.DeliveryState),
			Sequence: counted(r.DeliverySequence), Attempts: int(r.DeliveryAttempts), FinalAt: moment(r.ProcessedAt),
			NextAt: moment(r.DeliveryNextAt), DeliveredAt: moment(r.DeliveredAt), ReplayedAt: moment(r.DeliveryReplayedAt),
		}
	}
	err = attemptsOf(ctx, page, func(ctx context.Context, events []uuid.UUID) ([]billdb.LastAttemptsRow, error) {
		return q.LastAttempts(ctx, billdb.LastAttemptsParams{Events: events, Most: delivery.MostShown})
	}, func(r billdb.LastAttemptsRow) (id.ID, delivery.Made) {
		return id.ID(r.EventID), delivery.Made{At: r.At.UTC(), State: delivery.State(r.State), Note: r.Note}
	})
	return page, int(total), err
}

// Replay makes an event pending again.
func (o *BillOutbox) Replay(ctx context.Context, event id.ID, now time.Time) error {
	err := pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		q := billdb.New(tx)
		if err := q.LockDeliveries(ctx); err != nil {
			return err
		}
		if _, err := q.DeliveryOf(ctx, uuid.UUID(event)); err != nil {
			return err
		}
		changed, err := q.ReplayDelivery(ctx, billdb.ReplayDeliveryParams{ID: uuid.UUID(event), Now: now})
		if err != nil {
			return err
		}
		return conflict(changed)
	})
	return translate("replay a bill result", err, fault.ResourceNotFound)
}
