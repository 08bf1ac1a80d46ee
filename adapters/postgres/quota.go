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
// The guarantee: of any Budget+1 calls admitted one after the other, the last comes at least Per after the first, by
// the clock of the database, however many instances take at once. It rests on three things: an advisory lock serialises
// callers; a call is recorded, and the record committed, before the caller may make it; only the database's clock is
// read. So a crash between Take and the call loses a place and never wins one. A call may leave for KOS a little after
// its record: Per is longer than KOS's own window by as much as we allow for that (quota.Default: 2 s). A step of the
// database's clock forwards by more than that could admit too many; clocks are slewed, not stepped.
//
// Floors: each of at most Floor.Instances instances may spend Floor.Calls of the budget without the ledger, and does so
// only while the ledger is not available; the ledger's own budget is smaller by all floors together. A new process does
// not know what the previous one spent, so its floor opens one window after its start. The floor is measured by now,
// the one use of an instance's own clock, which needs a monotonic reading (time.Now).
type Quota struct {
	pool   *pgxpool.Pool
	window quota.Window // of the ledger
	floor  quota.Window // of this instance
	alerts ports.Alerts
	now    ports.Clock

	mu         sync.Mutex
	floorSpent []quota.Spent // of the floor
	away       bool          // the ledger was not available the last time
	restsUntil time.Time     // the ledger is not used before then
}

var _ ports.Quota = (*Quota)(nil)

// Floor is what each instance may spend while the ledger is not available; the zero Floor is nothing.
type Floor struct{ Instances, Calls int }

// ledgerTimeout is how long the ledger may take.
const ledgerTimeout = 2 * time.Second

// ledgerRest is how long a ledger that timed out is not used, so that not every caller waits for it.
const ledgerRest = 5 * time.Second

// errLedgerRests is the cause of a call that was refused without using the ledger.
var errLedgerRests = errors.New("the ledger has just hung")

// keepFactor is for how many windows the ledger keeps entries, for operators to read.
const keepFactor = 10

// NewQuota works on the kos database. With an unlimited window (load tests) Take admits every call. A floor that does
// not fit the window is lowered (quota.Window.Apart).
func NewQuota(pool *pgxpool.Pool, window quota.Window, floor Floor, alerts ports.Alerts, now ports.Clock) *Quota {
	rest, calls := window.Apart(floor.Instances, floor.Calls)
	q := &Quota{pool: pool, window: rest, floor: quota.Window{Budget: calls, Per: window.Per}, alerts: alerts, now: now}
	for range calls {
		q.floorSpent = append(q.floorSpent, quota.Spent{At: now()})
	}
	return q
}

// Take spends one call of the ledger, or of the floor when the ledger is in trouble. When neither admits the call it
// returns ErrNotAsked: nothing is spent and KOS must not be called.
func (q *Quota) Take(ctx context.Context, lane quota.Lane) error {
	if q.window.IsUnlimited() {
		return nil
	}
	admitted, wait, err := q.ask(ctx, lane)
	if err != nil && ctx.Err() == nil {
		admitted, wait = q.spendFloor(lane)
	}
	switch {
	case admitted:
		return nil
	case err != nil:
		return fault.New(fault.ServiceUnavailable).RetryIn(max(retryAfter, wait)).Because(errors.Join(ports.ErrNotAsked,
			translate("take quota", err)))
	default:
		return fault.New(fault.ServiceUnavailable).RetryIn(wait).Because(ports.ErrNotAsked)
	}
}

// ask takes from the ledger, unless that timed out a moment ago.
func (q *Quota) ask(ctx context.Context, lane quota.Lane) (admitted bool, wait time.Duration, err error) {
	q.mu.Lock()
	resting := q.now().Before(q.restsUntil)
	q.mu.Unlock()
	if resting {
		return false, 0, errLedgerRests
	}
	asking, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	err = pgx.BeginFunc(asking, q.pool, func(tx pgx.Tx) (err error) {
		admitted, wait, err = q.spend(asking, kosdb.New(tx), lane)
		return err
	})
	if err != nil && ctx.Err() != nil { // a caller that left says nothing about the ledger
		return false, 0, err
	}
	if err != nil && asking.Err() != nil {
		q.mu.Lock()
		q.restsUntil = q.now().Add(ledgerRest)
		q.mu.Unlock()
	}
	q.noteLedger(ctx, err)
	return admitted, wait, err
}

// noteLedger alerts when the ledger becomes unavailable and when it is back, once each.
func (q *Quota) noteLedger(ctx context.Context, err error) {
	q.mu.Lock()
	turned := q.away != (err != nil)
	q.away = err != nil
	q.mu.Unlock()
	switch {
	case turned && err != nil:
		q.alerts.Raise(ctx,
			operations.Alert{Kind: operations.LedgerAway, Subject: "quota", Note: "KOS is called within this instance's floor only"})
	case turned:
		q.alerts.Raise(ctx, operations.Alert{Kind: operations.LedgerBack, Subject: "quota", Note: "the whole budget is spent again"})
	}
}

func (q *Quota) spendFloor(lane quota.Lane) (admitted bool, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if admitted, wait = q.floor.Admit(q.floorSpent, lane, now); admitted {
		q.floorSpent = append(q.floorSpent[max(0, len(q.floorSpent)-q.floor.Budget):], quota.Spent{At: now, Lane: lane})
	}
	return admitted, wait
}

// spend runs in the transaction of the ledger's lock.
func (q *Quota) spend(
	ctx context.Context, ledger *kosdb.Queries, lane quota.Lane,
) (admitted bool, wait time.Duration, err error) {
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
	return true, 0,
		ledger.Spend(ctx, kosdb.SpendParams{KeepSeconds: keepFactor * q.window.Per.Seconds(), Lane: lane.String()})
}

// Usage returns the budget and what all instances have spent within the last 60 s, read once and without a lock. While
// the ledger is not available it returns the floor, and Ledger is false. Without a limit nothing is counted: it returns
// only the unlimited window. It leaves Waiting and ETA empty.
func (q *Quota) Usage(ctx context.Context) operations.Quota {
	usage := operations.Quota{Window: q.window, Budget: q.window.Budget, Ledger: true}
	if q.window.IsUnlimited() {
		return usage
	}
	asking, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	rows, err := kosdb.New(q.pool).Usage(asking)
	if err != nil {
		usage.Budget, usage.Ledger = q.floor.Budget, false
		return usage
	}
	for _, row := range rows {
		squeeze := quota.Squeeze{Percent: int(row.Percent), Until: row.Until}
		if usage.Budget = squeeze.In(q.window, row.Now).Budget; usage.Budget < q.window.Budget {
			usage.Squeezed = row.Until.UTC()
		}
		usage.Spent[quota.LaneOf(row.Lane)] += int(row.Calls)
	}
	return usage
}

// OverSpent squeezes the budget by the database's clock, under the lock.
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
