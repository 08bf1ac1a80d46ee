package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/operations"
	"phonebill/ports"
)

// Maintenance implements ports.MaintenanceSwitch.
type Maintenance struct{ pool *pgxpool.Pool }

var _ ports.MaintenanceSwitch = (*Maintenance)(nil)

// NewMaintenance works on the auth database.
func NewMaintenance(pool *pgxpool.Pool) *Maintenance { return &Maintenance{pool} }

// Current reads the row.
func (s *Maintenance) Current(ctx context.Context) (m operations.Maintenance, err error) {
	rows, err := authdb.New(s.pool).Maintenance(ctx)
	for _, row := range rows {
		m = operations.Maintenance{
			From: row.StartsAt.UTC(), Until: row.EndsAt.UTC(), Scope: operations.Scope(row.Scope),
			Message: row.Announcement, By: row.SwitchedBy,
		}
	}
	return m, translate("read the maintenance", err)
}

// Set writes the row, or deletes it.
func (s *Maintenance) Set(ctx context.Context, m operations.Maintenance) error {
	q := authdb.New(s.pool)
	if m == (operations.Maintenance{}) {
		return translate("end the maintenance", q.DeleteMaintenance(ctx))
	}
	return translate("set the maintenance", q.PutMaintenance(ctx, authdb.PutMaintenanceParams{
		StartsAt: m.From, EndsAt: m.Until, Scope: string(m.Scope), Announcement: m.Message, SwitchedBy: m.By,
	}))
}
