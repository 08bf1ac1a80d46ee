package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/fault"
	"phonebill/core/operations"
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
//
// Floors: each of at most Floor.Instances instances may spend Floor.Calls of the budget without the ledger, and does so only while the
// ledger cannot be asked; the ledger's own budget is smaller by all floors together. A fresh process does not know what the one before
// it spent, so its floor opens one window after its start. The floor is measured by now, the one use of an instance's own clock:
// give it one that is not set back and forth (time.Now, for its monotonic reading).
type Quota struct {
	pool   *pgxpool.Pool
	window quota.Window // of the ledger
	floor  quota.Window // of this instance
	alerts ports.Alerts
	now    ports.Clock

	mu    sync.Mutex
	alone []quota.Spent // of the floor
	away  bool          // the ledger could not be asked the last time
	hangs time.Time     // it is not asked before then
}

var _ ports.Quota = (*Quota)(nil)

// Floor is what each instance may spend while the ledger cannot be asked; the zero Floor is nothing.
type Floor struct{ Instances, Calls int }

// patience is how long the ledger may take: one that hangs is away.
const patience = 2 * time.Second

// ledgerRest is how long a ledger that has just hung is not asked: callers have better uses for their patience than to find it out again.
const ledgerRest = 5 * time.Second

// errHangs is the cause of a call that was refused without asking the ledger.
var errHangs = errors.New("the ledger has just hung")

// keepFactor says for how many windows the ledger keeps entries, for the operator's eye.
const keepFactor = 10

// NewQuota works on the kos database. With an unlimited window (load tests) Take asks nobody.
// A floor that does not fit the window is lowered (quota.Window.Apart).
func NewQuota(pool *pgxpool.Pool, window quota.Window, floor Floor, alerts ports.Alerts, now ports.Clock) *Quota {
	rest, calls := window.Apart(floor.Instances, floor.Calls)
	q := &Quota{pool: pool, window: rest, floor: quota.Window{Budget: calls, Per: window.Per}, alerts: alerts, now: now}
	for range calls {
		q.alone = append(q.alone, quota.Spent{At: now()})
	}
	return q
}

// Take spends one call of the ledger, or of the floor when the ledger is in trouble. When neither can be had nothing is spent and KOS
// must not be called: ErrNotAsked.
func (q *Quota) Take(ctx context.Context, lane quota.Lane) error {
	if q.window.IsUnlimited() {
		return nil
	}
	admitted, wait, err := q.ask(ctx, lane)
	if err != nil && ctx.Err() == nil {
		admitted, wait = q.spendAlone(lane)
	}
	switch {
	case admitted:
		return nil
	case err != nil:
		return fault.New(fault.ServiceUnavailable).RetryIn(max(again, wait)).Because(errors.Join(ports.ErrNotAsked, translate("take quota", err)))
	default:
		return fault.New(fault.ServiceUnavailable).RetryIn(wait).Because(ports.ErrNotAsked)
	}
}

// ask asks the ledger, if it has not just hung.
func (q *Quota) ask(ctx context.Context, lane quota.Lane) (admitted bool, wait time.Duration, err error) {
	q.mu.Lock()
	hangs := q.now().Before(q.hangs)
	q.mu.Unlock()
	if hangs {
		return false, 0, errHangs
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = pgx.BeginFunc(asking, q.pool, func(tx pgx.Tx) (err error) {
		admitted, wait, err = q.spend(asking, kosdb.New(tx), lane)
		return err
	})
	if err != nil && ctx.Err() != nil { // of a caller who left nothing is learnt
		return false, 0, err
	}
	if err != nil && asking.Err() != nil {
		q.mu.Lock()
		q.hangs = q.now().Add(ledgerRest)
		q.mu.Unlock()
	}
	q.heard(ctx, err)
	return admitted, wait, err
}

// heard tells a person when the ledger goes away and when it is back, once each.
func (q *Quota) heard(ctx context.Context, err error) {
	q.mu.Lock()
	turned := q.away != (err != nil)
	q.away = err != nil
	q.mu.Unlock()
	switch {
	case turned && err != nil:
		q.alerts.Raise(ctx, operations.Alert{Kind: operations.LedgerAway, Subject: "quota", Note: "KOS is called within this instance's floor only"})
	case turned:
		q.alerts.Raise(ctx, operations.Alert{Kind: operations.LedgerBack, Subject: "quota", Note: "the whole budget is spent again"})
	}
}

func (q *Quota) spendAlone(lane quota.Lane) (admitted bool, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if admitted, wait = q.floor.Admit(q.alone, lane, now); admitted {
		q.alone = append(q.alone[max(0, len(q.alone)-q.floor.Budget):], quota.Spent{At: now, Lane: lane})
	}
	return admitted, wait
}

// spend runs under the lock.
func (q *Quota) spend(ctx context.Context, ledger *kosdb.Queries, lane quota.Lane) (admitted bool, wait time.Duration, err error) {
	if err := ledger.LockQuota(ctx); err != nil {
		return false, 0, err
	}
	rows, err := ledger.Spent(ctx, kosdb.SpentParams{Seconds: q.window.Per.Seconds(), Budget: int64(q.window.Budget)})
	if err != nil {
		return false, 0, err
	}
	spent, window := make([]quota.Spent, len(rows)), q.window
	var now time.Time
	for i, row := range rows {
		spent[i], now = quota.Spent{At: row.SpentAt, Lane: quota.LaneOf(row.Lane)}, row.Now
		window = quota.Squeeze{Percent: int(row.Percent), Until: row.Until}.In(q.window, now)
	}
	if admitted, wait = window.Admit(spent, lane, now); !admitted {
		return false, wait, nil
	}
	return true, 0, ledger.Spend(ctx, kosdb.SpendParams{KeepSeconds: keepFactor * q.window.Per.Seconds(), Lane: lane.String()})
}

// Usage tells of the budget and of what all instances have spent within the last 60 s, in one look that waits for no lock. While the ledger
// cannot be asked it is the floor that is told of, and Ledger is false. Without a limit nothing is counted, so that nothing is told but
// the unlimited window. Waiting and ETA are not the ledger's to know.
func (q *Quota) Usage(ctx context.Context) operations.Quota {
	told := operations.Quota{Window: q.window, Budget: q.window.Budget, Ledger: true}
	if q.window.IsUnlimited() {
		return told
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := kosdb.New(q.pool).Usage(asking)
	if err != nil {
		told.Budget, told.Ledger = q.floor.Budget, false
		return told
	}
	for _, row := range rows {
		squeeze := quota.Squeeze{Percent: int(row.Percent), Until: row.Until}
		if told.Budget = squeeze.In(q.window, row.Now).Budget; told.Budget < q.window.Budget {
			told.Squeezed = row.Until.UTC()
		}
		told.Spent[quota.LaneOf(row.Lane)] += int(row.Calls)
	}
	return told
}

// OverSpent squeezes by the database's clock, under the lock.
func (q *Quota) OverSpent(ctx context.Context, retryAfter time.Duration) error {
	err := pgx.BeginFunc(ctx, q.pool, func(tx pgx.Tx) error {
		ledger := kosdb.New(tx)
		if err := ledger.LockQuota(ctx); err != nil {
			return err
		}
		now, err := ledger.Now(ctx)
		if err != nil {
			return err
		}
		rows, err := ledger.Squeeze(ctx)
		if err != nil {
			return err
		}
		var held quota.Squeeze
		for _, row := range rows {
			held = quota.Squeeze{Percent: int(row.Percent), Until: row.Until}
		}
		next := held.After(q.window, now, retryAfter)
		return ledger.PutSqueeze(ctx, kosdb.PutSqueezeParams{Percent: int64(next.Percent), Until: next.Until})
	})
	return translate("squeeze the budget", err)
}
