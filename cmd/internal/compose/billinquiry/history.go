package billinquiry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres"
	"phonebill/adapters/spool"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
)

// replayInterval is how often a bill database that is away is tried.
const replayInterval = 250 * time.Millisecond

// openHistory wires the store of inquiries: rows that share commits, and the spool in front of it, with the worker that
// empties it.
func openHistory(
	ctx context.Context, b *service.Builder, c History, s stores.Config, at stores.Stores,
) (*spool.Inquiries, error) {
	reads, err := openReadPool(ctx, b, c, s.PoolSize)
	if err != nil {
		return nil, err
	}
	stored := postgres.OpenInquiries(at.Pool, at.Keyring, postgres.InquiryOptions{
		Reads: reads, Delay: c.Delay, Alerts: b.Alerts,
	})
	b.Unit.OnClose(stored.Close)
	spooled, err := spool.Open(spool.Config{Dir: c.SpoolDir, MaxBytes: int64(c.SpoolMaxBytes)}, spool.Deps{
		Store: stored, Batches: stored, Sealer: vault.Inquiries(at.Keyring), Alerts: b.Alerts, Log: b.Log,
	})
	if err != nil {
		return nil, err
	}
	b.Unit.OnClose(func() {
		if err := spooled.Close(); err != nil {
			b.Log.ErrorContext(context.WithoutCancel(ctx), "the history spool did not close", "error", err.Error())
		}
	})
	b.Registry.MustRegister(spooled.Metrics(b.Now)...)
	b.Worker("history-spool", replayInterval, spooled.Replay)
	b.Checks["database"] = stores.NeededAtStart(b.Checks["database"]) // without it cached bills are still answered
	return spooled, nil
}

// openReadPool returns nil when pages are read where they are written. It is not among the checks: without it
// everything else goes on.
func openReadPool(ctx context.Context, b *service.Builder, c History, size int) (*pgxpool.Pool, error) {
	if c.ReadDatabaseURL.Reveal() == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	pool, err := postgres.Pool(ctx, c.ReadDatabaseURL.Reveal(), postgres.PoolConfig{
		MaxConns: int32(size), Name: b.Unit.Name + " (reads)", ReadOnly: true, //nolint:gosec // 2..200
	})
	if err == nil {
		b.Unit.OnClose(pool.Close)
	}
	return pool, err
}
