package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/ports"
)

// Orders implements ports.Orders. Every state an order is stored in is also a row of order_steps, written by the same statement.
type Orders struct {
	pool *pgxpool.Pool
	rows orderRows
}

var _ ports.Orders = (*Orders)(nil)

// NewOrders works on the product database.
func NewOrders(pool *pgxpool.Pool, vault ports.Vault) *Orders {
	return &Orders{pool, newOrderRows(vault)}
}

// Add stores a new order. The line's one live slot is a unique index: of many at once one gets it.
func (s *Orders) Add(ctx context.Context, o product.Order) error {
	row, err := s.rows.added(o)
	if err != nil {
		return translate("seal order", err)
	}
	added, err := productdb.New(s.pool).AddOrder(ctx, row)
	if err != nil {
		return translate("add order", err)
	}
	if added == 0 {
		return fault.New(fault.ChangeInProgress)
	}
	return nil
}

// Live answers the line's order that is not final, or NOT_FOUND.
func (s *Orders) Live(ctx context.Context, n line.Number) (product.Order, error) {
	row, err := productdb.New(s.pool).LiveOrder(ctx, s.rows.lines.index(n))
	return s.one(row, err)
}

// Get answers the order, or NOT_FOUND.
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

// Save stores progress where the order is live and its fence still is what the caller saw.
func (s *Orders) Save(ctx context.Context, o product.Order) error {
	changed, err := productdb.New(s.pool).SaveOrder(ctx, s.rows.saved(o))
	if err != nil {
		return translate("save order", err)
	}
	return conflict(changed)
}

// Claim leases due orders; rows that another claimer is taking are skipped, not waited for.
func (s *Orders) Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]product.Order, error) {
	rows, err := productdb.New(s.pool).ClaimOrders(ctx, productdb.ClaimOrdersParams{LeaseUntil: now.Add(lease), Now: now, N: int64(n)})
	if err != nil {
		return nil, translate("claim orders", err)
	}
	return s.rows.nouns(rows)
}

// History answers one page and the number of all rows that match; the two are read one after the other.
func (s *Orders) History(ctx context.Context, f product.HistoryFilter) ([]product.Order, int, error) {
	q := productdb.New(s.pool)
	all := productdb.CountOrdersParams{
		UserID: string(f.UserID), Lines: s.rows.lines.indexes(f.Lines), Since: since(f.From), Before: before(f.To),
	}
	total, err := q.CountOrders(ctx, all)
	if err != nil {
		return nil, 0, translate("count orders", err)
	}
	rows, err := q.OrderHistory(ctx, productdb.OrderHistoryParams{
		UserID: all.UserID, Lines: all.Lines, Since: all.Since, Before: all.Before, Skip: skip(f.Page, f.Size), Size: int64(f.Size),
	})
	if err != nil {
		return nil, 0, translate("read orders", err)
	}
	page, err := s.rows.nouns(rows)
	return page, int(total), err
}
