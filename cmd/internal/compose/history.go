package compose

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres"
	"phonebill/adapters/spool"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/core/personal"
)

// History configures how inquiries are recorded.
type History struct {
	ReadDatabaseURL personal.Secret // where pages of history are read, such as a replica; empty = where they are written
	Delay           time.Duration   // how long a row may wait for others to share its commit
	SpoolDir        string          // where history waits while the bill database is away; on a disk that outlives the process
	SpoolMaxBytes   int             // what it may take there
}

// ReadHistory reads BILL_READ_DATABASE_URL, HISTORY_DELAY (0 if it is not set), SPOOL_DIR and SPOOL_MAX_BYTES (256 MiB).
func ReadHistory(r *boot.Reader, spoolDir string) History {
	const least, most, usual = 1 << 20, 1 << 40, spool.DefaultMaxBytes
	return History{
		ReadDatabaseURL: personal.NewSecret(r.String("BILL_READ_DATABASE_URL", "")), Delay: r.Duration("HISTORY_DELAY", 0),
		SpoolDir: r.String("SPOOL_DIR", spoolDir), SpoolMaxBytes: r.Int("SPOOL_MAX_BYTES", usual, least, most),
	}
}

// defaultSpool is where a service on its own keeps its spool.
const defaultSpool = ".data/spool"

// replaying is how often a bill database that is away is tried.
const replaying = 250 * time.Millisecond

// inquiries wires the store of inquiries: rows that share commits, and the spool in front of it, with the worker that empties it.
func (p *parts) inquiries(ctx context.Context, c History, d Data, at stores) (*spool.Inquiries, error) {
	reads, err := p.readPool(ctx, c, d)
	if err != nil {
		return nil, err
	}
	stored := postgres.OpenInquiries(at.pool, at.keyring, postgres.InquiryOptions{Reads: reads, Delay: c.Delay, Alerts: p.alerts})
	p.unit.OnClose(stored.Close)
	spooled, err := spool.Open(spool.Config{Dir: c.SpoolDir, MaxBytes: int64(c.SpoolMaxBytes)}, spool.Deps{
		Store: stored, Batches: stored, Sealer: vault.Inquiries(at.keyring), Alerts: p.alerts, Log: p.Log,
	})
	if err != nil {
		return nil, err
	}
	p.unit.OnClose(func() {
		if err := spooled.Close(); err != nil {
			p.Log.ErrorContext(context.WithoutCancel(ctx), "the history spool did not close", "error", err.Error())
		}
	})
	p.registry.MustRegister(spooled.Metrics(p.Now)...)
	p.worker("history-spool", replaying, spooled.Replay)
	p.checks["database"] = once(p.checks["database"]) // without it cached bills are still answered
	return spooled, nil
}

// readPool is nil when pages are read where they are written. It is not among the checks: without it everything else goes on.
func (p *parts) readPool(ctx context.Context, c History, d Data) (*pgxpool.Pool, error) {
	if c.ReadDatabaseURL.Reveal() == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	pool, err := postgres.Pool(ctx, c.ReadDatabaseURL.Reveal(), postgres.PoolConfig{
		MaxConns: int32(d.PoolSize), Name: p.unit.Name + " (reads)", ReadOnly: true, //nolint:gosec // 2..200
	})
	if err == nil {
		p.unit.OnClose(pool.Close)
	}
	return pool, err
}

// optionalCheck bounds the check of a database that the unit can do without: one that hangs must not use up the time of the other checks.
const optionalCheck = 500 * time.Millisecond

// once is the check of a database that the unit needs to start with, but can do without later: when it has passed, a database that is
// away no longer fails it. One that gives read-only sessions alone still does: then this instance may be on the wrong server of a pair
// while its neighbours are on the right one, and requests should go to those.
func once(check boot.Check) boot.Check {
	var passed atomic.Bool
	return func(ctx context.Context) error {
		if passed.Load() {
			limited, cancel := context.WithTimeout(ctx, optionalCheck)
			defer cancel()
			ctx = limited
		}
		err := check(ctx)
		if err == nil {
			passed.Store(true)
		}
		if passed.Load() && !errors.Is(err, postgres.ErrReadOnly) {
			return nil
		}
		return err
	}
}
