package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/fault"
	"phonebill/core/sealing"
	"phonebill/migrations"
	"phonebill/ports"
)

// SealingForm implements ports.SealingForm on the row of the table sealing, which each of the four databases has.
type SealingForm struct {
	form  func(context.Context) (int64, error)
	raise func(context.Context, int64) error
}

var _ ports.SealingForm = SealingForm{}

// NewSealingForm works on a database of db's kind.
func NewSealingForm(db migrations.Database, pool *pgxpool.Pool) SealingForm {
	switch db {
	case migrations.Auth:
		q := authdb.New(pool)
		return SealingForm{q.SealingForm, q.RaiseSealing}
	case migrations.Bill:
		q := billdb.New(pool)
		return SealingForm{q.SealingForm, q.RaiseSealing}
	case migrations.Product:
		q := productdb.New(pool)
		return SealingForm{q.SealingForm, q.RaiseSealing}
	case migrations.KOS:
		q := kosdb.New(pool)
		return SealingForm{q.SealingForm, q.RaiseSealing}
	case migrations.Request: // a part of a product's database
	}
	panic(fmt.Sprintf("postgres: no database %q", db))
}

// Form returns the form in force.
func (s SealingForm) Form(ctx context.Context) (sealing.Form, error) {
	form, err := s.form(ctx)
	return sealing.Form(form), translate("read how values are sealed", err)
}

// Raise sets the form, which only rises.
func (s SealingForm) Raise(ctx context.Context, to sealing.Form) error {
	return translate("change how values are sealed", s.raise(ctx, int64(to)))
}

// unknownForm is returned instead of writing while the form of the database is not known: a row of the older form is
// not readable, or refused, where the newer one is in force.
func unknownForm() error {
	return fault.New(fault.ServiceUnavailable).RetryIn(retryAfter).Because(
		errors.New("postgres: it is not known yet how values are sealed"))
}
