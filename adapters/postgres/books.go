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
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/ports"
)

// Books implements ports.ReconciliationSource on the rows of Orders.
type Books struct {
	pool *pgxpool.Pool
	rows orderRows
}

var _ ports.ReconciliationSource = (*Books)(nil)

// NewBooks works on the product database.
func NewBooks(pool *pgxpool.Pool, vault ports.Vault) *Books { return &Books{pool, newOrderRows(vault)} }

// Final answers orders as they became final: one query for the page, one for what stands beside it.
func (b *Books) Final(
	ctx context.Context, from, to time.Time, after product.ReconciliationPlace, n int,
) ([]product.ReconciliationEntry, error) {
	ids, err := productdb.New(b.pool).FinalOrders(ctx, productdb.FinalOrdersParams{
		FromAt: from, ToAt: to, ReachedAt: after.At, ReachedID: uuid.UUID(after.ID), N: int64(n),
	})
	if err != nil || len(ids) == 0 {
		return nil, translate("read final orders", err)
	}
	return b.entries(ctx, ids)
}

// Entry answers one order.
func (b *Books) Entry(ctx context.Context, order id.ID) (product.ReconciliationEntry, error) {
	all, err := b.entries(ctx, []uuid.UUID{uuid.UUID(order)})
	if err == nil && len(all) == 0 {
		return product.ReconciliationEntry{}, fault.New(fault.ResourceNotFound)
	}
	if err != nil {
		return product.ReconciliationEntry{}, err
	}
	return all[0], nil
}

func (b *Books) entries(ctx context.Context, ids []uuid.UUID) ([]product.ReconciliationEntry, error) {
	rows, err := productdb.New(b.pool).BookEntries(ctx, ids)
	if err != nil {
		return nil, translate("read entries", err)
	}
	all := make([]product.ReconciliationEntry, len(rows))
	for i, r := range rows {
		o := r.ChangeOrder
		all[i] = product.ReconciliationEntry{
			Order: b.readable(o),
			Delivery: product.DeliveryStatus{
				State: delivery.State(o.DeliveryState), Sequence: orZero(o.DeliverySequence), Accepted: int(r.Times), AcceptedAt: moment(o.DeliveredAt),
				ReplayedAt: moment(o.DeliveryReplayedAt),
			},
			DuplicateSequence: r.Twin, Superseded: r.Replaced, HasLiveOrder: r.Followed,
		}
		if r.BeforeSequence > 0 {
			all[i].Previous = product.DeliveryStatus{
				State: delivery.State(r.BeforeState), Sequence: r.BeforeSequence, AcceptedAt: r.BeforeAt.UTC(), ReplayedAt: r.BeforeReplayed.UTC(),
			}
		}
	}
	return all, nil
}

// readable is the order, without its line when what is stored cannot be opened.
func (b *Books) readable(row productdb.ChangeOrder) product.Order {
	o, err := b.rows.noun(row)
	if err != nil {
		o.Line = line.Number{}
	}
	return o
}

// Open answers orders that are not final.
func (b *Books) Open(ctx context.Context, before time.Time, after id.ID, n int) ([]product.Order, error) {
	rows, err := productdb.New(b.pool).OpenOrders(ctx, productdb.OpenOrdersParams{Before: before, After: uuid.UUID(after), N: int64(n)})
	if err != nil {
		return nil, translate("read open orders", err)
	}
	all := make([]product.Order, len(rows))
	for i, r := range rows {
		all[i] = b.readable(r)
	}
	return all, nil
}

// BookRuns implements ports.ReconciliationRuns.
type BookRuns struct {
	pool *pgxpool.Pool
	rows orderRows
}

var _ ports.ReconciliationRuns = (*BookRuns)(nil)

// NewBookRuns works on the product database.
func NewBookRuns(pool *pgxpool.Pool, vault ports.Vault) *BookRuns {
	return &BookRuns{pool, newOrderRows(vault)}
}

// Begin stores a run.
func (s *BookRuns) Begin(ctx context.Context, run product.ReconciliationRun) error {
	n, err := productdb.New(s.pool).BeginBookRun(ctx, productdb.BeginBookRunParams{
		ID: uuid.UUID(run.ID), Nightly: run.Nightly, FromAt: run.From, ToAt: run.To, StartedAt: run.StartedAt,
	})
	if err != nil {
		return translate("begin a run", err)
	}
	return conflict(n)
}

// Claim leases the run that nobody carries on.
func (s *BookRuns) Claim(ctx context.Context, now time.Time, lease time.Duration) (product.ReconciliationRun, error) {
	q := productdb.New(s.pool)
	row, err := q.ClaimBookRun(ctx, productdb.ClaimBookRunParams{Now: now, Until: now.Add(lease)})
	if err != nil {
		return product.ReconciliationRun{}, translate("claim a run", err, fault.ResourceNotFound)
	}
	return bookRun(ctx, q, row)
}

// Save stores how far a run is.
func (s *BookRuns) Save(ctx context.Context, run product.ReconciliationRun, until time.Time, found ...product.Difference) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := productdb.New(tx)
		n, err := q.SaveBookRun(ctx, productdb.SaveBookRunParams{
			ID: uuid.UUID(run.ID), Fence: run.Fence, FinishedAt: optional(run.Finished), ReachedAt: optional(run.Reached.At),
			ReachedID: optionalID(run.Reached.ID), Checked: int64(run.Checked), Asked: int64(run.Asked), Undecided: int64(run.Undecided),
			Unasked: int64(run.Unasked), LeaseUntil: until,
		})
		if err == nil {
			err = conflict(n)
		}
		if err != nil || len(found) == 0 {
			return err
		}
		rows := productdb.AddBookDifferencesParams{RunID: uuid.UUID(run.ID)}
		for _, d := range found {
			rows.Orders = append(rows.Orders, uuid.UUID(d.RequestID))
			rows.Kinds = append(rows.Kinds, string(d.Kind))
			rows.Found = append(rows.Found, d.Found)
			rows.Details = append(rows.Details, d.Text)
		}
		return q.AddBookDifferences(ctx, rows)
	})
	return translate("save a run", err)
}

// Nightly looks for a nightly run.
func (s *BookRuns) Nightly(ctx context.Context, since time.Time) (bool, error) {
	found, err := productdb.New(s.pool).BookRunNightly(ctx, since)
	return found, translate("look for a nightly run", err)
}

// Report answers a run with its differences.
func (s *BookRuns) Report(ctx context.Context, run id.ID) (product.ReconciliationReport, error) {
	q := productdb.New(s.pool)
	row, err := q.LastBookRun(ctx)
	if !run.IsZero() {
		row, err = q.BookRun(ctx, uuid.UUID(run))
	}
	if err != nil {
		return product.ReconciliationReport{}, translate("read a run", err, fault.ResourceNotFound)
	}
	var report product.ReconciliationReport
	if report.Run, err = bookRun(ctx, q, row); err != nil {
		return report, err
	}
	rows, err := q.BookDifferences(ctx, productdb.BookDifferencesParams{RunID: row.ID, N: product.MaxDifferencesShown})
	for _, r := range rows {
		var number line.Number // one that is gone, or cannot be opened, is shown without its line
		if len(r.LineIndex) > 0 {
			number, _ = s.rows.lines.open(r.LineSealed, r.LineIndex, orderKeys(r.OrderID, r.UserID)...)
		}
		report.Differences = append(report.Differences, product.Difference{
			RequestID: id.ID(r.OrderID), Line: number.String(), Kind: product.DifferenceKind(r.Kind), Found: r.FoundAt.UTC(), Text: r.Detail,
		})
	}
	return report, translate("read differences", err)
}

func bookRun(ctx context.Context, q *productdb.Queries, row productdb.BookRun) (product.ReconciliationRun, error) {
	found, err := q.CountBookDifferences(ctx, row.ID)
	return product.ReconciliationRun{
		ID: id.ID(row.ID), Nightly: row.Nightly, From: row.FromAt.UTC(), To: row.ToAt.UTC(), StartedAt: row.StartedAt.UTC(),
		Finished: moment(row.FinishedAt), Reached: product.ReconciliationPlace{At: moment(row.ReachedAt), ID: someID(row.ReachedID)},
		Checked: int(row.Checked), Asked: int(row.Asked), Undecided: int(row.Undecided), Unasked: int(row.Unasked), Found: int(found),
		Fence: row.Fence,
	}, translate("count differences", err)
}
