package compose

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/core/alert"
	"phonebill/core/sealing"
	"phonebill/core/sealing/reseal"
	"phonebill/migrations"
	"phonebill/ports"
)

// How sealed values are bound to their places is said by the databases. An instance reads it every formsEvery; the job
// that moves it on waits for formsSettle before it relies on every instance having read it.
const (
	formsEvery  = 2 * time.Second
	formsSettle = 5 * formsEvery
)

// forms keeps a vault at the form of each database of a unit, and for what is in none of them (the cache) at the weakest.
// While a form is not known nothing is sealed for that database; the unit is not ready until all are known.
type forms struct {
	vault  *vault.Vault
	mu     sync.Mutex
	names  []migrations.Database
	stored []ports.SealingForm
	known  []sealing.Form
}

// seal makes the vault obey the database and report what does not open.
func (p *parts) seal(ctx context.Context, v *vault.Vault, db migrations.Database, of ports.SealingForm) {
	v.Report(func(at sealing.Place, why error) {
		p.alerts.Raise(context.WithoutCancel(ctx), alert.Alert{
			Kind: alert.SealedRefused, Subject: at.String(), Note: "what is stored there does not open, or is of another place; it is not shown: " +
				why.Error(),
		})
	})
	p.forms = &forms{vault: v}
	p.forms.add(ctx, db, of)
	p.checks["sealing"] = once(p.forms.check)
	p.worker("sealing", formsEvery, func(ctx context.Context) (int, error) { return 0, p.forms.read(ctx) })
}

// add obeys one more database; trouble is for the check and the worker.
func (f *forms) add(ctx context.Context, db migrations.Database, of ports.SealingForm) {
	f.mu.Lock()
	f.names, f.stored, f.known = append(f.names, db), append(f.stored, of), append(f.known, sealing.Unknown)
	f.obey()
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, syncWithin)
	defer cancel()
	_ = f.read(ctx)
}

// read asks every database; what one said last is believed while it cannot be asked.
func (f *forms) read(ctx context.Context) error {
	f.mu.Lock()
	stored := slices.Clone(f.stored)
	f.mu.Unlock()
	var errs []error
	for i, of := range stored {
		form, err := of.Form(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f.mu.Lock()
		f.known[i] = max(f.known[i], form) // a replica that lags does not move it back
		f.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.obey()
	return errors.Join(errs...)
}

// obey is called with the lock held.
func (f *forms) obey() {
	f.vault.Obey(sealing.Weakest(f.known...))
	for i, db := range f.names {
		f.vault.ObeyIn(string(db), f.known[i])
	}
}

func (f *forms) check(ctx context.Context) error {
	if f.vault.Form() != sealing.Unknown {
		return nil
	}
	return f.read(ctx)
}

// ResealConfig is what the job that seals anew works on.
type ResealConfig struct {
	Databases map[migrations.Database]string // URLs, as the services have them
	Keyring   string
	PerSecond int
}

// resealBatch is how many rows are looked at in one statement.
const resealBatch = 200

// OpenReseal wires the job; close it at the end.
func OpenReseal(
	ctx context.Context, c ResealConfig, t Tools, progress func(reseal.Progress),
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
		Settle: formsSettle, Wait: wait, Now: t.Now, Batch: resealBatch, PerSecond: c.PerSecond, Progress: progress,
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
				return postgres.KOSSealed(pool, v, vault.Customers(v), vault.Plans(v))
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

// wait waits, if there is something to wait for.
func wait(ctx context.Context, d time.Duration) error {
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
