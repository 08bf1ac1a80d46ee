package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/fault"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Quota implements ports.Quota for all instances that share the database.
//
// The guarantee: of any Budget+1 calls admitted one after the other, the last comes at least Per after the first, by the clock of
// the database, however many instances take at once. It rests on three things: takers stand in a row (advisory lock); a call is
// entered, and the entry committed, before the caller may make it; nobody reads a clock but the database's. So a crash between
// Take and the call loses a place and never wins one. A call may leave for KOS a little after its entry: Per is longer than
// KOS's own window by as much as we allow for that (quota.Default: 2 s). A step of the database's clock forwards by more than
// that could admit too many; clocks are slewed, not stepped.
type Quota struct {
	pool   *pgxpool.Pool
	window quota.Window
}

var _ ports.Quota = (*Quota)(nil)

// keepFactor says for how many windows the ledger keeps entries, for the operator's eye.
const keepFactor = 10

// NewQuota works on the kos database. With an unlimited window (load tests) Take asks nobody.
func NewQuota(pool *pgxpool.Pool, window quota.Window) *Quota { return &Quota{pool, window} }

// Take spends one call. When the ledger cannot be asked nothing is spent and KOS must not be called either: ErrNotAsked.
func (q *Quota) Take(ctx context.Context) error {
	if q.window.IsUnlimited() {
		return nil
	}
	var admitted bool
	var wait time.Duration
	err := pgx.BeginFunc(ctx, q.pool, func(tx pgx.Tx) (err error) {
		admitted, wait, err = q.spend(ctx, kosdb.New(tx))
		return err
	})
	switch {
	case err != nil:
		return fault.New(fault.ServiceUnavailable).RetryIn(again).Because(errors.Join(ports.ErrNotAsked, translate("take quota", err)))
	case !admitted:
		return fault.New(fault.ServiceUnavailable).RetryIn(wait).Because(ports.ErrNotAsked)
	default:
		return nil
	}
}

// spend runs under the lock.
func (q *Quota) spend(ctx context.Context, ledger *kosdb.Queries) (admitted bool, wait time.Duration, err error) {
	if err := ledger.LockQuota(ctx); err != nil {
		return false, 0, err
	}
	rows, err := ledger.Spent(ctx, kosdb.SpentParams{Seconds: q.window.Per.Seconds(), Budget: int64(q.window.Budget)})
	if err != nil {
		return false, 0, err
	}
	spent := make([]time.Time, len(rows))
	var now time.Time
	for i, row := range rows {
		spent[i], now = row.SpentAt, row.Now
	}
	if admitted, wait = q.window.Admit(spent, now); !admitted {
		return false, wait, nil
	}
	return true, 0, ledger.Spend(ctx, keepFactor*q.window.Per.Seconds())
}
