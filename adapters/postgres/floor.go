package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/operations"
	"phonebill/core/quota"
)

// Floor is what each of at most so many instances may spend in a window while the ledger is not available, and for how
// long its lease is good; the zero Floor is nothing.
type Floor struct {
	Instances, Calls int
	Lease            time.Duration
}

// floor is the floor of this instance. quota.Leases states the rule and why it holds. Its times are by the clock of the
// instance (Quota.now), those of the leases in the database by the database's. A process has a holder's name of its
// own, so a restarted one begins without a floor: it does not know what the process before it spent.
type floor struct {
	rule   quota.Leases
	holder string

	asking sync.Mutex // one request of a lease at a time
	asked  bool       // a request was sent, so the ledger may hold a lease
	ended  bool       // the lease was given back: there is no other

	mu    sync.Mutex
	hold  quota.Hold
	spent []quota.Spent
}

// spend spends one call of the floor. wait is when there is one; it is 0 while nobody knows that.
func (f *floor) spend(lane quota.Lane, now time.Time) (admitted bool, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.hold.Open(now) {
		if f.hold.Opens.Before(f.hold.Closes) {
			wait = max(0, f.hold.Opens.Sub(now))
		}
		return false, wait
	}
	window := quota.Window{Budget: f.hold.Lease.Calls, Per: f.rule.Per}
	if admitted, wait = window.Admit(f.spent, lane, now); admitted {
		f.spent = append(f.spent[max(0, len(f.spent)-window.Budget):], quota.Spent{At: now, Lane: lane})
	}
	return admitted, wait
}

// open returns how many calls a window the instance may spend now without the ledger.
func (f *floor) open(now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.hold.Open(now) {
		return 0
	}
	return f.hold.Lease.Calls
}

// holds returns the lease that the instance holds, also one that does not open yet.
func (f *floor) holds(now time.Time) operations.Floor {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !now.Before(f.hold.Closes) {
		return operations.Floor{}
	}
	return operations.Floor{Calls: f.hold.Lease.Calls, Until: f.hold.Lease.Expires.UTC()}
}

func (f *floor) set(next func(quota.Hold) quota.Hold) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hold = next(f.hold)
}

// RenewFloor asks the ledger for a lease of this instance's floor, or renews the one it holds; a worker calls it every
// so often (quota.Leases.Every). held is false when the ledger has no place for it: whatever it held is over at once.
// After an error the instance keeps what it held until its lease ends. Where there are no floors it does nothing.
func (q *Quota) RenewFloor(ctx context.Context) (held bool, err error) {
	f := &q.floor
	f.asking.Lock()
	defer f.asking.Unlock()
	if q.window.IsUnlimited() || f.rule.Calls == 0 || f.ended {
		return true, nil
	}
	f.asked = true
	var granted quota.Lease
	asked := q.now()
	err = q.changeLeases(ctx, func(leases []quota.Lease, now time.Time) (next []quota.Lease) {
		next, granted, held = f.rule.Grant(leases, f.holder, now)
		return next
	})
	answered := q.now()
	if err != nil {
		return false, err
	}
	f.set(func(before quota.Hold) quota.Hold {
		if !held {
			return quota.Hold{}
		}
		return f.rule.Hold(before, granted, asked, answered)
	})
	return held, nil
}

// GiveFloorBack ends the floor of this instance for good: it spends no more of it, and others may have its place after
// one window. When the ledger cannot be told, the place is free one window after the lease expires.
func (q *Quota) GiveFloorBack(ctx context.Context) error {
	f := &q.floor
	f.asking.Lock()
	defer f.asking.Unlock()
	f.ended = true
	f.set(func(quota.Hold) quota.Hold { return quota.Hold{} })
	if !f.asked {
		return nil
	}
	return q.changeLeases(ctx, func(leases []quota.Lease, now time.Time) []quota.Lease {
		return f.rule.GiveBack(leases, f.holder, now)
	})
}

// changeLeases changes the leases under the lock of the ledger, by the database's clock.
func (q *Quota) changeLeases(ctx context.Context, change func([]quota.Lease, time.Time) []quota.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, q.pool, func(tx pgx.Tx) error {
		ledger := kosdb.New(tx)
		if err := ledger.LockQuota(ctx); err != nil {
			return err
		}
		before, now, err := floorLeases(ctx, ledger)
		if err != nil {
			return err
		}
		return putFloorLeases(ctx, ledger, before, change(before, now))
	})
	return translate("change the leases of floors", err)
}

// putFloorLeases writes what differs.
func putFloorLeases(ctx context.Context, ledger *kosdb.Queries, before, next []quota.Lease) error {
	for _, l := range before {
		kept := slices.ContainsFunc(next, func(n quota.Lease) bool { return n.Holder == l.Holder })
		if kept {
			continue
		}
		if err := ledger.ForgetFloorLease(ctx, l.Holder); err != nil {
			return err
		}
	}
	for _, l := range next {
		if slices.Contains(before, l) {
			continue
		}
		if err := ledger.PutFloorLease(ctx, kosdb.PutFloorLeaseParams{
			Holder: l.Holder, Calls: int64(l.Calls), GrantedAt: l.Granted, ExpiresAt: l.Expires,
		}); err != nil {
			return err
		}
	}
	return nil
}

// floorLeases returns the leases that the database keeps, and its time.
func floorLeases(ctx context.Context, ledger *kosdb.Queries) (held []quota.Lease, now time.Time, err error) {
	rows, err := ledger.FloorLeases(ctx)
	for _, row := range rows {
		now = row.Now
		if row.Holder != "" {
			held = append(held, quota.Lease{
				Holder: row.Holder, Calls: int(row.Calls), Granted: row.GrantedAt, Expires: row.ExpiresAt,
			})
		}
	}
	return held, now, err
}
