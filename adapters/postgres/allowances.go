package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Allowances implements ports.Allowances for all instances that share the kos database. quota.Allowance decides: the
// calls are read with their version and written back if no other call was counted meanwhile. The clock is the
// database's.
//
// While the database is not available the calls that this process counted decide, by its own clock. Refusals are
// remembered there too, so that a customer's repeated calls do not read the database each time.
type Allowances struct {
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
	// countTimeout limits how long counting a call may take; the customer waits for it.
	countTimeout = 500 * time.Millisecond
	// countRest is how long a database that did not answer in time is not used.
	countRest = 5 * time.Second
	// mostOwn bounds the customers that a process remembers; those whose calls no longer count are dropped.
	mostOwn = 10_000
)

// NewAllowances works on the kos database. now needs a monotonic reading (time.Now): it measures how long a refusal
// lasts.
func NewAllowances(pool *pgxpool.Pool, vault ports.Vault, allowed quota.Allowance, now ports.Clock) *Allowances {
	return &Allowances{pool: pool, vault: vault, allowed: allowed, now: now, own: map[auth.UserID]ownCalls{}}
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
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
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
