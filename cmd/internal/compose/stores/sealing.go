package stores

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"phonebill/adapters/vault"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/operations"
	"phonebill/core/sealing"
	"phonebill/migrations"
	"phonebill/ports"
)

// How sealed values are bound to their places is stored in the databases. An instance reads it every FormsInterval; the
// job that moves it on waits for FormsSettle before it relies on every instance having read it.
const (
	FormsInterval = 2 * time.Second
	FormsSettle   = 5 * FormsInterval
)

// formTimeout is how long a database may take for its form when a unit begins to follow it.
const formTimeout = 2 * time.Second

// Forms keeps a vault at the form of each database of a unit, and for what is in none of them (the cache) at the
// weakest. While a form is not known nothing is sealed for that database; the unit is not ready until all are known. It
// is safe for concurrent use.
type Forms struct {
	vault  *vault.Vault
	mu     sync.Mutex
	names  []migrations.Database
	stored []ports.SealingForm
	known  []sealing.Form
}

// NewForms returns forms without a database.
func NewForms(v *vault.Vault) *Forms { return &Forms{vault: v} }

// followForms makes the vault follow the database's form and report what does not open.
func followForms(
	ctx context.Context, b *service.Builder, v *vault.Vault, db migrations.Database, of ports.SealingForm,
) *Forms {
	v.Report(func(at sealing.Place, why error) {
		b.Alerts.Raise(context.WithoutCancel(ctx), operations.Alert{
			Kind: operations.SealedRefused, Subject: at.String(),
			Note: "what is stored there does not open, or is of another place; it is not shown: " + why.Error(),
		})
	})
	f := NewForms(v)
	f.Add(ctx, db, of)
	b.Checks["sealing"] = NeededAtStart(f.check)
	b.Worker("sealing", FormsInterval, func(ctx context.Context) (int, error) { return 0, f.Read(ctx) })
	return f
}

// Add follows one more database; its errors are for the check and the worker.
func (f *Forms) Add(ctx context.Context, db migrations.Database, of ports.SealingForm) {
	f.mu.Lock()
	f.names, f.stored, f.known = append(f.names, db), append(f.stored, of), append(f.known, sealing.Unknown)
	f.apply()
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, formTimeout)
	defer cancel()
	_ = f.Read(ctx)
}

// Read asks every database for its form; what one returned last stays while it cannot be asked.
func (f *Forms) Read(ctx context.Context) error {
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
	f.apply()
	return errors.Join(errs...)
}

// apply is called with the lock held.
func (f *Forms) apply() {
	f.vault.Obey(sealing.Weakest(f.known...))
	for i, db := range f.names {
		f.vault.ObeyIn(string(db), f.known[i])
	}
}

func (f *Forms) check(ctx context.Context) error {
	if f.vault.Form() != sealing.Unknown {
		return nil
	}
	return f.Read(ctx)
}
