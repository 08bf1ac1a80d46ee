package auth

import (
	"context"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/sealing"
	"phonebill/core/sealing/reseal"
	"phonebill/migrations"
	"phonebill/ports"
)

// ResealConfig is what the job that seals anew works on.
type ResealConfig struct {
	Databases map[migrations.Database]string // URLs, as the services have them
	Keyring   string
	PerSecond int
}

// resealBatch is how many rows are looked at in one statement.
const resealBatch = 200

// OpenReseal wires the job; call closing at the end.
func OpenReseal(
	ctx context.Context, c ResealConfig, t service.Tools, progress func(reseal.Progress),
) (s *reseal.Service, closing func(), err error) {
	var closers []func()
	closing = func() {
		for _, c := range closers {
			c()
		}
	}
	defer func() {
		if err != nil {
			closing()
		}
	}()
	keyring, err := vault.Open(c.Keyring)
	if err != nil {
		return nil, closing, err
	}
	s = &reseal.Service{
		Settle: stores.FormsSettle, Wait: sleep, Now: t.Now, Batch: resealBatch, PerSecond: c.PerSecond, Progress: progress,
	}
	rows := map[migrations.Database]func(v *vault.Vault) []ports.SealedRows{}
	for _, db := range migrations.All() {
		pool, err := postgres.Pool(ctx, c.Databases[db], postgres.PoolConfig{Name: "phonebillctl", MaxConns: 2})
		if err != nil {
			return nil, closing, err
		}
		closers = append(closers, pool.Close)
		s.Databases = append(s.Databases, reseal.Database{Name: string(db), Form: postgres.NewSealingForm(db, pool)})
		rows[db] = func(v *vault.Vault) []ports.SealedRows {
			switch db {
			case migrations.Auth:
				return postgres.AuthSealed(pool, v)
			case migrations.Bill:
				return postgres.BillSealed(pool, v, vault.Bills(v))
			case migrations.Product:
				return postgres.ProductSealed(pool, v)
			case migrations.KOS:
				return postgres.KOSSealed(pool, v, vault.Customers(v), vault.Plans(v), vault.BillMonths(v))
			case migrations.Request: // no database of its own
			}
			return nil
		}
	}
	form, err := s.Form(ctx)
	if err != nil {
		return nil, closing, err
	}
	for i := range s.Databases {
		db := &s.Databases[i]
		db.Rows = rows[migrations.Database(db.Name)](keyring.Resealing(max(form, sealing.Row)))
	}
	return s, closing, nil
}

// sleep waits, if there is something to wait for. Its error is that of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
