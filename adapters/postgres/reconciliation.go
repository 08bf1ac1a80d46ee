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

// ReconciliationSource implements ports.ReconciliationSource on the rows of Orders.
type ReconciliationSource struct {
	pool *pgxpool.Pool
	rows orderRows
}

var _ ports.ReconciliationSource = (*ReconciliationSource)(nil)

// NewReconciliationSource works on the product database.
func NewReconciliationSource(pool *pgxpool.Pool, vault ports.Vault) *ReconciliationSource {
	return &ReconciliationSource{pool, newOrderRows(vault)}
}

// Final returns orders in the order in which they became final: one query finds the page, one reads it.
func (b *ReconciliationSource) Final(
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

// Entry returns one order.
func (b *ReconciliationSource) Entry(ctx context.Context, order id.ID) (product.ReconciliationEntry, error) {
	all, err := b.entries(ctx, []uuid.UUID{uuid.UUID(order)})
	if err == nil && len(all) == 0 {
		return product.ReconciliationEntry{}, fault.New(fault.ResourceNotFound)
	}
	if err != nil {
		return product.ReconciliationEntry{}, err
	}
	return all[0], nil
}

func (b *ReconciliationSource) entries(ctx context.Context, ids []uuid.UUID) ([]product.ReconciliationEntry, error) {
	rows, err := productdb.New(b.pool).ReconciliationEntries(ctx, ids)
	if err != nil {
		return nil, translate("read entries", err)
	}
	all := make([]product.ReconciliationEntry, len(rows))
	for i, r := range rows {
		o := r.ChangeOrder
		all[i] = product.ReconciliationEntry{
			Order: b.readable(o),
			Delivery: product.DeliveryStatus{
				State: delivery.State(o.DeliveryState), Sequence: orZero(o.DeliverySequence), Accepted: int(r.Times),
				AcceptedAt: moment(o.DeliveredAt), ReplayedAt: moment(o.DeliveryReplayedAt),
			},
			DuplicateSequence: r.Twin, Superseded: r.Replaced, HasLiveOrder: r.Followed,
		}
		if r.BeforeSequence > 0 {
			all[i].Previous = product.DeliveryStatus{
				State: delivery.State(r.BeforeState), Sequence: r.BeforeSequence, AcceptedAt: r.BeforeAt.UTC(),
				ReplayedAt: r.BeforeReplayed.UTC(),
			}
		}
	}
	return all, nil
}

// readable returns the order, without its line when the row cannot be opened.
func (b *ReconciliationSource) readable(row productdb.ChangeOrder) product.Order {
	o, err := b.rows.noun(row)
	if err != nil {
		o.Line = line.Number{}
	}
	return o
}

// Open returns orders that are not final.
func (b *ReconciliationSource) Open(
	ctx context.Context, before time.Time, after id.ID, n int,
) ([]product.Order, error) {
	rows, err := productdb.New(b.pool).OpenOrders(ctx,
		productdb.OpenOrdersParams{Before: before, After: uuid.UUID(after), N: int64(n)})
	return nouns(rows, err, "read open orders", b.readable)
}

// ReconciliationRuns implements ports.ReconciliationRuns.
type ReconciliationRuns struct {
	pool *pgxpool.Pool
	rows orderRows
}

var _ ports.ReconciliationRuns = (*ReconciliationRuns)(nil)

// NewReconciliationRuns works on the product database.
func NewReconciliationRuns(pool *pgxpool.Pool, vault ports.Vault) *ReconciliationRuns {
	return &ReconciliationRuns{pool, newOrderRows(vault)}
}

// Begin stores a run.
func (s *ReconciliationRuns) Begin(ctx context.Context, run product.ReconciliationRun) error {
	n, err := productdb.New(s.pool).BeginReconciliationRun(ctx, productdb.BeginReconciliationRunParams{
		ID: uuid.UUID(run.ID), Nightly: run.Nightly, FromAt: run.From, ToAt: run.To, StartedAt: run.StartedAt,
	})
	return translate("begin a run", changed(n, err, fault.StateConflict))
}

// Claim leases the unfinished run whose lease is over.
func (s *ReconciliationRuns) Claim(
	ctx context.Context, now time.Time, lease time.Duration,
) (product.ReconciliationRun, error) {
	q := productdb.New(s.pool)
	row, err := q.ClaimReconciliationRun(ctx, productdb.ClaimReconciliationRunParams{Now: now, Until: now.Add(lease)})
	if err != nil {
		return product.ReconciliationRun{}, translate("claim a run", err, fault.ResourceNotFound)
	}
	return reconciliationRun(ctx, q, row)
}

// Save stores the progress of a run.
func (s *ReconciliationRuns) Save(
	ctx context.Context, run product.ReconciliationRun, until time.Time, found ...product.Difference,
) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := productdb.New(tx)
		n, err := q.SaveReconciliationRun(ctx, productdb.SaveReconciliationRunParams{
			ID: uuid.UUID(run.ID), Fence: run.Fence, FinishedAt: optional(run.Finished), ReachedAt: optional(run.Reached.At),
			ReachedID: optionalID(run.Reached.ID), Checked: int64(run.Checked), Asked: int64(run.Asked),
			Undecided: int64(run.Undecided), Unasked: int64(run.Unasked), LeaseUntil: until,
		})
		if err := changed(n, err, fault.StateConflict); err != nil || len(found) == 0 {
			return err
		}
		rows := productdb.AddReconciliationDifferencesParams{RunID: uuid.UUID(run.ID)}
		for _, d := range found {
			rows.Orders = append(rows.Orders, uuid.UUID(d.RequestID))
			rows.Kinds = append(rows.Kinds, string(d.Kind))
			rows.Found = append(rows.Found, d.Found)
			rows.Details = append(rows.Details, d.Text)
		}
		return q.AddReconciliationDifferences(ctx, rows)
	})
	return translate("save a run", err)
}

// Nightly reports whether there was a nightly run since then.
func (s *ReconciliationRuns) Nightly(ctx context.Context, since time.Time) (bool, error) {
	found, err := productdb.New(s.pool).ReconciliationRunNightly(ctx, since)
	return found, translate("look for a nightly run", err)
}

// Report returns a run with its differences.
func (s *ReconciliationRuns) Report(ctx context.Context, run id.ID) (product.ReconciliationReport, error) {
	q := productdb.New(s.pool)
	row, err := q.LastReconciliationRun(ctx)
	if !run.IsZero() {
		row, err = q.ReconciliationRun(ctx, uuid.UUID(run))
	}
	if err != nil {
		return product.ReconciliationReport{}, translate("read a run", err, fault.ResourceNotFound)
	}
	var report product.ReconciliationReport
	if report.Run, err = reconciliationRun(ctx, q, row); err != nil {
		return report, err
	}
	rows, err := q.ReconciliationDifferences(ctx,
		productdb.ReconciliationDifferencesParams{RunID: row.ID, N: product.MaxDifferencesShown})
	for _, r := range rows {
		var number line.Number // an order that is deleted or cannot be opened is shown without its line
		if len(r.LineIndex) > 0 {
			number, _ = s.rows.lines.open(r.LineSealed, r.LineIndex, orderKeys(r.OrderID, r.UserID)...)
		}
		report.Differences = append(report.Differences, product.Difference{
			RequestID: id.ID(r.OrderID), Line: number.String(), Kind: product.DifferenceKind(r.Kind), Found: r.FoundAt.UTC(),
			Text: r.Detail,
		})
	}
	return report, translate("read differences", err)
}

func reconciliationRun(
	ctx context.Context, q *productdb.Queries, row productdb.ReconciliationRun,
) (product.ReconciliationRun, error) {
	found, err := q.CountReconciliationDifferences(ctx, row.ID)
	return product.ReconciliationRun{
		ID: id.ID(row.ID), Nightly: row.Nightly, From: row.FromAt.UTC(), To: row.ToAt.UTC(), StartedAt: row.StartedAt.UTC(),
		Finished: moment(row.FinishedAt), Reached: product.ReconciliationPlace{
			At: moment(row.ReachedAt), ID: someID(row.ReachedID),
		},
		Checked: int(row.Checked), Asked: int(row.Asked), Undecided: int(row.Undecided), Unasked: int(row.Unasked),
		Found: int(found), Fence: row.Fence,
	}, translate("count differences", err)
}
