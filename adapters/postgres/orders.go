package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/migrations"
	"phonebill/ports"
)

// Orders implements ports.Orders. Every state of an order is also a row of order_steps, written by the same statement.
type Orders struct {
	pool   *pgxpool.Pool
	rows   orderRows
	keys   *IdempotencyKeys
	alerts ports.Alerts
}

var _ ports.Orders = (*Orders)(nil)

// NewOrders works on the product database.
func NewOrders(pool *pgxpool.Pool, vault ports.Vault) *Orders {
	return OpenOrders(pool, vault, nil)
}

// OpenOrders is NewOrders with alerts for rows that cannot be opened; nil = none.
func OpenOrders(pool *pgxpool.Pool, vault ports.Vault, alerts ports.Alerts) *Orders {
	return &Orders{pool, newOrderRows(vault), NewIdempotencyKeys(pool, migrations.Product, vault), alerts}
}

// Add stores a new order. A unique index allows one live order of a line: of many at once one is stored. So is the key,
// which is taken first: a caller that finds it taken waits for the other to commit.
func (s *Orders) Add(ctx context.Context, o product.Order, u request.KeyUse) error {
	row, err := s.rows.added(o)
	if err != nil {
		return translate("seal order", err)
	}
	if u.Key.IsZero() {
		return translate("add order", addOrder(ctx, productdb.New(s.pool), row))
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		claimed, err := s.keys.claim(ctx, tx, u, u.At.Add(-request.KeyWindow), id.ID{})
		switch {
		case err != nil:
			return err
		case !claimed:
			return ports.ErrKeyUsed
		}
		return addOrder(ctx, productdb.New(tx), row)
	})
	if errors.Is(err, ports.ErrKeyUsed) {
		return ports.ErrKeyUsed
	}
	return translate("add order", err)
}

func addOrder(ctx context.Context, q *productdb.Queries, row productdb.AddOrderParams) error {
	added, err := q.AddOrder(ctx, row)
	return changed(added, err, fault.ChangeInProgress)
}

// Used returns what the key stands for.
func (s *Orders) Used(ctx context.Context, u request.KeyUse, since time.Time) (request.KeyUse, error) {
	first, err := s.keys.used(ctx, u, since, fault.ResourceNotFound)
	if err != nil {
		return request.KeyUse{}, err
	}
	return first, nil
}

// Live returns the line's order that is not final, or NOT_FOUND.
func (s *Orders) Live(ctx context.Context, n line.Number) (product.Order, error) {
	row, err := productdb.New(s.pool).LiveOrder(ctx, s.rows.lines.index(n))
	return s.one(row, err)
}

// Get returns the order, or NOT_FOUND.
func (s *Orders) Get(ctx context.Context, order id.ID) (product.Order, error) {
	row, err := productdb.New(s.pool).Order(ctx, uuid.UUID(order))
	return s.one(row, err)
}

func (s *Orders) one(row productdb.ChangeOrder, err error) (product.Order, error) {
	if err != nil {
		return product.Order{}, translate("read order", err, fault.ResourceNotFound)
	}
	o, err := s.rows.noun(row)
	return o, translate("open order", err)
}

// Save stores progress where the order is live and its fence and version still are what the caller saw.
func (s *Orders) Save(ctx context.Context, o product.Order, at time.Time) (product.Order, error) {
	row, err := s.rows.saved(o, at)
	if err != nil {
		return o, translate("write order", err)
	}
	rows, err := productdb.New(s.pool).SaveOrder(ctx, row)
	if err := changed(rows, err, fault.StateConflict); err != nil {
		return o, translate("save order", err)
	}
	o.Version++
	return o, nil
}

// ChangedSince reads the index of completed orders.
func (s *Orders) ChangedSince(ctx context.Context, n line.Number, since time.Time) (bool, error) {
	changed, err := productdb.New(s.pool).ChangedSince(ctx, productdb.ChangedSinceParams{
		LineIndex: s.rows.lines.index(n), Since: since,
	})
	return changed, translate("read completed orders", err)
}

// Claim leases due orders. Rows that another claim is taking are skipped, and rows that cannot be opened are put off.
func (s *Orders) Claim(
	ctx context.Context, queue product.Queue, now time.Time, lease time.Duration, n int,
) (claimed []product.Order, err error) {
	q, until := productdb.New(s.pool), now.Add(lease)
	var rows []productdb.ChangeOrder
	switch queue {
	case product.New:
		rows, err = q.ClaimNewOrders(ctx, productdb.ClaimNewOrdersParams{LeaseUntil: until, Now: now, N: int64(n)})
	case product.Begun:
		rows, err = q.ClaimBegunOrders(ctx, productdb.ClaimBegunOrdersParams{LeaseUntil: until, Now: now, N: int64(n)})
	}
	if err != nil {
		return nil, translate("claim orders", err)
	}
	return queued(ctx, s.alerts, rows, s.rows.noun, func(r productdb.ChangeOrder) uuid.UUID { return r.ID },
		func(ctx context.Context, ids []uuid.UUID) error {
			return q.PutOffOrders(ctx, productdb.PutOffOrdersParams{Until: now.Add(unreadableFor), Ids: ids})
		}), nil
}

// History returns one page and the number of all rows that match, read one after the other.
func (s *Orders) History(ctx context.Context, f product.HistoryFilter) ([]product.Order, int, error) {
	all := requestdb.CountHistoryParams{
		UserID: string(f.UserID), Subjects: s.rows.lines.indexes(f.Lines), Since: since(f.From), Before: before(f.To),
		Status: f.Status,
	}
	total, from, err := historyPage(ctx, s.pool, all, f.Page, f.Size)
	if err != nil || from == nil {
		return nil, total, err
	}
	rows, err := productdb.New(s.pool).OrderHistory(ctx, productdb.OrderHistoryParams{
		UserID: all.UserID, Lines: all.Subjects, Since: all.Since, FromAt: from.at, FromID: from.id, Status: all.Status,
		Size: int64(f.Size),
	})
	if err != nil {
		return nil, 0, translate("read orders", err)
	}
	return s.rows.shown(rows, f.Lines), total, nil
}
