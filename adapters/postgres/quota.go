package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/auth"
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
// While the ledger is not available, an instance spends its floor, if it holds a lease of one (floor.go); the ledger's
// own budget is smaller by all floors that are leased (quota.Leases).
type Quota struct {
	pool   *pgxpool.Pool
	window quota.Window // of the ledger and all floors
	floor  floor
	alerts ports.Alerts
	now    ports.Clock

	mu         sync.Mutex
	away       bool      // the ledger was not available the last time
	restsUntil time.Time // the ledger is not used before then
}

var _ ports.Quota = (*Quota)(nil)

// ledgerTimeout is how long the ledger may take.
const ledgerTimeout = 2 * time.Second

// ledgerRest is how long a ledger that timed out is not used, so that not every caller waits for it.
const ledgerRest = 5 * time.Second

// errLedgerRests is the cause of a call that was refused without using the ledger.
var errLedgerRests = errors.New("the ledger has just hung")

// keepFactor is for how many windows the ledger keeps entries, for operators to read.
const keepFactor = 10

// NewQuota works on the kos database. With an unlimited window (load tests) Take admits every call. A floor that does
// not fit the window is lowered (quota.Window.Apart). now measures the floor and needs a monotonic reading (time.Now).
func NewQuota(pool *pgxpool.Pool, window quota.Window, f Floor, alerts ports.Alerts, now ports.Clock) *Quota {
	_, calls := window.Apart(f.Instances, f.Calls)
	return &Quota{
		pool: pool, window: window, alerts: alerts, now: now,
		floor: floor{holder: rand.Text(), rule: quota.Leases{
			Places: f.Instances, Calls: calls, Budget: window.Budget, Life: f.Lease, Per: window.Per,
		}},
	}
}

// Take spends one call of the ledger, or of the floor when the ledger is in trouble. When neither admits the call it
// returns ErrNotAsked: nothing is spent and KOS must not be called.
func (q *Quota) Take(ctx context.Context, lane quota.Lane) error {
	if q.window.IsUnlimited() {
		return nil
	}
	admitted, wait, err := q.ask(ctx, lane)
	if err != nil && ctx.Err() == nil {
		admitted, wait = q.floor.spend(lane, q.now())
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
			operations.Alert{
				Kind: operations.LedgerAway, Subject: "quota", Note: "KOS is called within the floor that this instance holds",
			})
	case turned:
		q.alerts.Raise(ctx, operations.Alert{
			Kind: operations.LedgerBack, Subject: "quota", Note: "the whole budget is spent again",
		})
	}
}

// spend runs in the transaction of the ledger's lock.
func (q *Quota) spend(
	ctx context.Context, ledger *kosdb.Queries, lane quota.Lane,
) (admitted bool, wait time.Duration, err error) {
	if err := ledger.LockQuota(ctx); err != nil {
		return false, 0, err
	}
	held, now, err := floorLeases(ctx, ledger)
	if err != nil {
		return false, 0, err
	}
	rest := q.floor.rule.Rest(q.window, held, now)
	rows, err := ledger.Spent(ctx, kosdb.SpentParams{Seconds: q.window.Per.Seconds(), Budget: int64(q.window.Budget)})
	if err != nil {
		return false, 0, err
	}
	spent, window := make([]quota.Spent, len(rows)), rest
	for i, row := range rows {
		spent[i], now = quota.Spent{At: row.SpentAt, Lane: quota.LaneOf(row.Lane)}, row.Now
		window = quota.Squeeze{Percent: int(row.Percent), Until: row.Until}.In(rest, now)
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
	now := q.now()
	usage.Floor = q.floor.holds(now)
	asking, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	ledger := kosdb.New(q.pool)
	rows, err := ledger.Usage(asking)
	if err == nil {
		var held []quota.Lease
		var at time.Time
		held, at, err = floorLeases(asking, ledger)
		usage.Leased = quota.Leased(q.floor.rule.Counting(held, at))
	}
	if err != nil {
		usage.Budget, usage.Leased, usage.Ledger = q.floor.open(now), 0, false
		return usage
	}
	usage.Window = q.window.Less(usage.Leased)
	for _, row := range rows {
		squeeze := quota.Squeeze{Percent: int(row.Percent), Until: row.Until}
		if usage.Budget = squeeze.In(usage.Window, row.Now).Budget; usage.Budget < usage.Window.Budget {
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

// Allowances implements ports.Allowances for all instances that share the kos database. quota.Allowance decides: the
// calls are read with their version and written back if no other call was counted meanwhile. The clock is the
// database's.
//
// While the database is not available the calls that this process counted decide, by its own clock. Refusals are
// remembered there too, so that a customer's repeated calls do not read the database each time.
type Allowances struct {
	// Timeout limits how long counting a call may take, since the customer waits for it; a change comes before the first
	// call.
	Timeout time.Duration

	pool    *pgxpool.Pool
	vault   ports.Vault
	allowed quota.Allowance
	now     ports.Clock

	mu   sync.Mutex
	own  map[auth.UserID]ownCalls
	away time.Time // the database is not used before then
}

var _ ports.Allowances = (*Allowances)(nil)

// ownCalls are the calls that this process knows of one customer.
type ownCalls struct {
	calls   []time.Time
	refused time.Time // the database has refused until then
}

const (
	// countTimeout is the usual Allowances.Timeout.
	countTimeout = 500 * time.Millisecond
	// countRest is how long a database that did not answer in time is not used.
	countRest = 5 * time.Second
	// mostOwn bounds the customers that a process remembers; those whose calls no longer count are dropped.
	mostOwn = 10_000
)

// NewAllowances works on the kos database. now needs a monotonic reading (time.Now): it measures how long a refusal
// lasts.
func NewAllowances(pool *pgxpool.Pool, vault ports.Vault, allowed quota.Allowance, now ports.Clock) *Allowances {
	return &Allowances{
		Timeout: countTimeout, pool: pool, vault: vault, allowed: allowed, now: now, own: map[auth.UserID]ownCalls{},
	}
}

// Check decides without counting.
func (a *Allowances) Check(ctx context.Context, customer auth.UserID) error {
	return a.ask(ctx, customer, func(calls []time.Time, now time.Time) ([]time.Time, bool, time.Duration) {
		ok, wait := a.allowed.Admit(calls, now)
		return nil, ok, wait
	})
}

// Spend counts a call if it is allowed.
func (a *Allowances) Spend(ctx context.Context, customer auth.UserID) error {
	return a.ask(ctx, customer, func(calls []time.Time, now time.Time) ([]time.Time, bool, time.Duration) {
		ok, wait := a.allowed.Admit(calls, now)
		return a.allowed.Count(calls, now), ok, wait
	})
}

// Count counts a call in any case.
func (a *Allowances) Count(ctx context.Context, customer auth.UserID) {
	_ = a.decide(ctx, customer, func(calls []time.Time, now time.Time) ([]time.Time, bool, time.Duration) {
		return a.allowed.Count(calls, now), true, 0
	})
}

// GiveBack removes the newest call.
func (a *Allowances) GiveBack(ctx context.Context, customer auth.UserID) {
	a.mu.Lock()
	known := a.own[customer]
	known.refused = time.Time{}
	a.own[customer] = known
	a.mu.Unlock()
	_ = a.decide(ctx, customer, func(calls []time.Time, _ time.Time) ([]time.Time, bool, time.Duration) {
		return quota.GiveBack(calls), true, 0
	})
}

// step decides on calls in order of time: it returns the new calls (nil for no change), and whether the call is allowed
// or when it will be.
type step func(calls []time.Time, now time.Time) (next []time.Time, ok bool, wait time.Duration)

// ask decides, without the database if the customer was refused a moment ago.
func (a *Allowances) ask(ctx context.Context, customer auth.UserID, s step) error {
	a.mu.Lock()
	wait := a.own[customer].refused.Sub(a.now())
	a.mu.Unlock()
	if wait > 0 {
		return spentUp(wait)
	}
	return a.decide(ctx, customer, s)
}

// decide uses the database, and this process's own memory where that is not available.
func (a *Allowances) decide(ctx context.Context, customer auth.UserID, s step) error {
	if len(a.allowed) == 0 {
		return nil
	}
	ok, wait, shared := a.shared(ctx, customer, s)
	a.mu.Lock()
	defer a.mu.Unlock()
	known, now := a.own[customer], a.now()
	next, mine, mineWait := s(known.calls, now)
	if !shared {
		ok, wait = mine, mineWait
	}
	if ok && next != nil {
		known.calls = next
	}
	if !ok {
		known.refused = now.Add(wait)
	}
	a.own[customer] = known
	a.makeRoom(now)
	if !ok {
		return spentUp(wait)
	}
	return nil
}

func spentUp(wait time.Duration) error {
	return fault.New(fault.RateLimitExceeded).RetryIn(wait).Because(ports.ErrNotAsked)
}

// makeRoom drops customers whose calls no longer count. The caller holds mu.
func (a *Allowances) makeRoom(now time.Time) {
	if len(a.own) < mostOwn {
		return
	}
	since := now.Add(-a.allowed.Window())
	for customer, known := range a.own {
		if n := len(known.calls); (n == 0 || known.calls[n-1].Before(since)) && !known.refused.After(now) {
			delete(a.own, customer)
		}
	}
	for customer := range a.own { // all are in use: drop any, the database has them
		if len(a.own) < mostOwn {
			return
		}
		delete(a.own, customer)
	}
}

// shared decides on the calls that all instances have counted; known is false when the database did not answer.
func (a *Allowances) shared(
	ctx context.Context, customer auth.UserID, s step,
) (ok bool, wait time.Duration, known bool) {
	a.mu.Lock()
	rest := a.now().Before(a.away)
	a.mu.Unlock()
	if rest {
		return false, 0, false
	}
	// a call that is made is counted even if its caller is gone
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Timeout)
	defer cancel()
	ok, wait, err := a.exchange(asking, a.vault.Index(subject, string(customer)), s)
	if err != nil && asking.Err() != nil {
		a.mu.Lock()
		a.away = a.now().Add(countRest)
		a.mu.Unlock()
	}
	return ok, wait, err == nil
}

// exchange reads, decides and writes until no other call was counted in between.
func (a *Allowances) exchange(ctx context.Context, index []byte, s step) (ok bool, wait time.Duration, err error) {
	for {
		q := kosdb.New(a.pool)
		row, err := q.CustomerCalls(ctx, index)
		if err != nil {
			return false, 0, err
		}
		next, ok, wait := s(row.Calls, row.Now)
		if !ok || next == nil {
			return ok, wait, nil
		}
		written, err := q.PutCustomerCalls(ctx,
			kosdb.PutCustomerCallsParams{CustomerIndex: index, Calls: next, Version: row.Version})
		if err != nil || written > 0 {
			return ok, wait, err
		}
	}
}

// Forget deletes customers whose calls no longer count; a worker calls it regularly.
func (a *Allowances) Forget(ctx context.Context) error {
	if len(a.allowed) == 0 {
		return nil // other instances may have a limit
	}
	const late = time.Minute // more than any call takes between its read and its write
	err := kosdb.New(a.pool).ForgetCustomerCalls(ctx, (a.allowed.Window() + late).Seconds())
	return translate("forget the calls of customers", err)
}
