package postgres

import (
	"bytes"
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// NewBillOutbox is the outbox of the bill database: the results of inquiries. An event whose bill version is missing
// counts as a failed attempt, so it is tried again later and parked in the end (delivery.NextState).
func NewBillOutbox(pool *pgxpool.Pool, vault ports.Vault, sealer ports.Sealer[bill.Copy]) *Outbox[ports.BillResult] {
	results := billResults{pool, newInquiryRows(vault), sealer}
	return &Outbox[ports.BillResult]{pool: pool, kind: delivery.BillResult, masked: results.masked, bodies: results.read}
}

type billResults struct {
	pool   *pgxpool.Pool
	rows   inquiryRows
	sealer ports.Sealer[bill.Copy]
}

func (b billResults) masked(ctx context.Context, events []uuid.UUID) (map[uuid.UUID]string, error) {
	rows, err := billdb.New(b.pool).InquiriesByID(ctx, events)
	all := make(map[uuid.UUID]string, len(rows))
	for _, r := range rows {
		number, _ := b.rows.lines.open(r.LineSealed, r.LineIndex, inquiryKeys(r.ID, r.UserID, r.Month)...)
		all[r.ID] = number.String()
	}
	return all, err
}

func (b billResults) read(
	ctx context.Context, tx pgx.Tx, events []uuid.UUID,
) (map[uuid.UUID]body[ports.BillResult], error) {
	q := billdb.New(tx)
	rows, err := q.InquiriesByID(ctx, events)
	if err != nil {
		return nil, err
	}
	versions, err := b.versions(ctx, q, rows)
	if err != nil {
		return nil, err
	}
	all := make(map[uuid.UUID]body[ports.BillResult], len(rows))
	for _, row := range rows {
		all[row.ID] = b.result(row, versions)
	}
	return all, nil
}

func (b billResults) versions(
	ctx context.Context, q *billdb.Queries, rows []billdb.Inquiry,
) (map[uuid.UUID]body[bill.Copy], error) {
	versions := map[uuid.UUID]body[bill.Copy]{}
	var ids []uuid.UUID
	for _, row := range rows {
		if row.VersionID == nil {
			continue
		}
		if _, known := versions[*row.VersionID]; !known {
			versions[*row.VersionID] = body[bill.Copy]{verdict: &delivery.Attempt{
				Outcome: delivery.Failed, Note: "the bill version is not there",
			}}
			ids = append(ids, *row.VersionID)
		}
	}
	if len(ids) == 0 {
		return versions, nil
	}
	sealed, err := q.BillVersions(ctx, ids)
	for _, s := range sealed {
		versions[s.ID] = b.open(s)
	}
	return versions, err
}

func (b billResults) open(s billdb.BillVersionsRow) body[bill.Copy] {
	at := versionPlace(s.ID, s.LineIndex, s.Month)
	c, err := b.sealer.Open(at, s.Sealed)
	if err == nil && (!bytes.Equal(b.rows.lines.index(c.Bill.Line), s.LineIndex) || c.Bill.Month.String() != s.Month) {
		err = b.rows.vault.Refuse(at, errMisplaced)
	}
	if err != nil {
		return body[bill.Copy]{verdict: unreadable("bill")}
	}
	return body[bill.Copy]{body: c}
}

func (b billResults) result(row billdb.Inquiry, versions map[uuid.UUID]body[bill.Copy]) (r body[ports.BillResult]) {
	q, err := b.rows.noun(row)
	if err != nil {
		r.verdict = unreadable("inquiry")
		return r
	}
	r.body.Inquiry = q
	if q.Status != bill.Completed {
		return r
	}
	version := versions[uuid.UUID(q.Version)]
	of := version.body.Bill
	if version.verdict == nil && (of.Line != q.Line || of.Month != q.Month) { // another customer's bill is never delivered
		_ = b.rows.vault.Refuse(sealing.At("bill.inquiries.version_id", key(row.ID)), errMisplaced)
		version.verdict = unreadable("bill")
	}
	if r.verdict = version.verdict; r.verdict == nil {
		r.body.Inquiry, r.body.Bill = q.Recall(version.body)
	}
	return r
}

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
