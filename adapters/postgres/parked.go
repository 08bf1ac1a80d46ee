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
	"phonebill/ports"
)

// ParkedOrders implements ports.ParkedOrders on the rows of Orders.
type ParkedOrders struct {
	pool *pgxpool.Pool
	rows orderRows
}

var _ ports.ParkedOrders = (*ParkedOrders)(nil)

// NewParkedOrders works on the product database.
func NewParkedOrders(pool *pgxpool.Pool, vault ports.Vault) *ParkedOrders {
	return &ParkedOrders{pool, newOrderRows(vault)}
}

// List returns one page and the number of all parked orders, read one after the other.
func (s *ParkedOrders) List(ctx context.Context, page, size int) ([]product.ParkedOrder, int, error) {
	q := productdb.New(s.pool)
	total, err := q.CountParkedOrders(ctx, product.MaxParkedCounted)
	if err != nil {
		return nil, 0, translate("count parked orders", err)
	}
	rows, err := q.ParkedOrders(ctx, productdb.ParkedOrdersParams{Skip: skip(page, size), Size: int64(size)})
	if err != nil {
		return nil, 0, translate("read parked orders", err)
	}
	out := make([]product.ParkedOrder, len(rows))
	for i, r := range rows {
		// One that cannot be opened is shown without its line.
		number, _ := s.rows.lines.open(r.LineSealed, r.LineIndex, orderKeys(r.ID, r.UserID)...)
		day, err := calendar.ParseDate("effective_date", r.EffectiveDate.Format(time.DateOnly))
		if err != nil {
			return nil, 0, translate("read parked orders", err)
		}
		out[i] = product.ParkedOrder{
			ID: id.ID(r.ID), TransactionID: id.ID(r.TransactionID), Line: number.String(), From: r.FromCode, To: r.ToCode,
			EffectiveDate: day, RequestedAt: r.RequestedAt.UTC(), ParkedAt: r.ParkedAt.UTC(), Sends: int(r.Sends),
			Reconciles: int(r.Reconciles), KOSOrder: r.KosOrder,
		}
		if r.Outcome != "" {
			out[i].Proposal = product.Resolution{
				Outcome: product.Outcome(r.Outcome), Reason: r.Reason, By: auth.UserID(r.ByUser), At: r.ProposedAt.UTC(),
			}
		}
	}
	return out, int(total), nil
}

// Resolve judges a resolution and carries it out in one transaction, under the row's lock.
func (s *ParkedOrders) Resolve(
	ctx context.Context, order id.ID, r product.Resolution, beforeDone func(context.Context, product.Order) error,
) (verdict product.Judgement, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := productdb.New(tx)
		row, err := q.LockOrder(ctx, uuid.UUID(order))
		if err != nil {
			return err
		}
		o, err := s.rows.noun(row)
		if err != nil {
			return err
		}
		if verdict, o, err = s.judge(ctx, q, o, r); err != nil {
			return err
		}
		if verdict == product.Confirmed {
			if err := s.carryOut(ctx, q, o, r.At, beforeDone); err != nil {
				return err
			}
		}
		return q.AddResolution(ctx, productdb.AddResolutionParams{
			OrderID: row.ID, At: r.At, ByUser: string(r.By), Outcome: string(r.Outcome), Reason: r.Reason,
			Applied: verdict == product.Confirmed,
		})
	})
	return verdict, translate("resolve an order", err, fault.ResourceNotFound)
}

// judge returns the verdict, and the order as it is when r is confirmed.
func (*ParkedOrders) judge(ctx context.Context, q *productdb.Queries, o product.Order, r product.Resolution) (
	product.Judgement, product.Order, error,
) {
	resolved, err := o.Resolve(r) // a proposal, too, is for a parked order only
	if err != nil {
		return product.Proposed, o, err
	}
	last, err := q.LastProposal(ctx, uuid.UUID(o.ID))
	if err != nil {
		return product.Proposed, o, err
	}
	var proposal product.Resolution
	for _, l := range last {
		proposal = product.Resolution{
			Outcome: product.Outcome(l.Outcome), Reason: l.Reason, By: auth.UserID(l.ByUser), At: l.At.UTC(),
		}
	}
	verdict, err := r.Judge(proposal)
	return verdict, resolved, err
}

// carryOut saves a resolved order as Orders.Save does.
func (s *ParkedOrders) carryOut(
	ctx context.Context, q *productdb.Queries, o product.Order, at time.Time,
	beforeDone func(context.Context, product.Order) error,
) error {
	if o.State == product.Completed {
		if err := beforeDone(ctx, o); err != nil {
			return err
		}
	}
	row, err := s.rows.saved(o, at)
	if err != nil {
		return err
	}
	rows, err := q.SaveOrder(ctx, row)
	return changed(rows, err, fault.StateConflict)
}
