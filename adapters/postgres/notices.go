package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/fault"
	"phonebill/core/product"
	"phonebill/ports"
)

// Notices implements ports.Notices on the rows of Orders: SaveOrder makes a notice due in the statement that ends the
// order.
type Notices struct {
	pool *pgxpool.Pool
	rows orderRows
}

var _ ports.Notices = (*Notices)(nil)

// NewNotices works on the product database.
func NewNotices(pool *pgxpool.Pool, vault ports.Vault) *Notices {
	return &Notices{pool, newOrderRows(vault)}
}

// Claim leases due notices; rows that another claim is taking are skipped.
func (s *Notices) Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]product.Notice, error) {
	rows, err := productdb.New(s.pool).ClaimNotices(ctx,
		productdb.ClaimNoticesParams{LeaseUntil: now.Add(lease), Now: now, N: int64(n)})
	if err != nil {
		return nil, translate("claim notices", err)
	}
	var claimed []product.Notice
	var unread error
	for _, row := range rows {
		o, err := s.rows.noun(row)
		if err != nil {
			unread = errors.Join(unread, translate("open order "+row.ID.String(), err))
			continue
		}
		claimed = append(claimed, product.Notice{Order: o, Attempts: int(row.NotifyAttempts), Lease: moment(row.NotifyAt)})
	}
	slices.SortFunc(claimed, func(a, b product.Notice) int { return a.Order.ProcessedAt.Compare(b.Order.ProcessedAt) })
	return claimed, unread
}

// Notified ends a notice.
func (s *Notices) Notified(ctx context.Context, n product.Notice, at time.Time) error {
	return s.settle(ctx, n, productdb.SettleNoticeParams{NotifiedAt: &at})
}

// Failed makes a notice due again.
func (s *Notices) Failed(ctx context.Context, n product.Notice, next time.Time) error {
	return s.settle(ctx, n, productdb.SettleNoticeParams{NextAt: &next})
}

func (s *Notices) settle(ctx context.Context, n product.Notice, row productdb.SettleNoticeParams) error {
	row.ID, row.Lease = uuid.UUID(n.Order.ID), n.Lease
	rows, err := productdb.New(s.pool).SettleNotice(ctx, row)
	return translate("settle a notice", changed(rows, err, fault.StateConflict))
}
