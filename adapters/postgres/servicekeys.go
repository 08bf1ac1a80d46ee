package postgres

import (
	"context"

	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/ports"
)

// ServiceKeys implements ports.ServiceKeys.
type ServiceKeys struct{ pool *pgxpool.Pool }

var _ ports.ServiceKeys = (*ServiceKeys)(nil)

// NewServiceKeys works on the auth database.
func NewServiceKeys(pool *pgxpool.Pool) *ServiceKeys { return &ServiceKeys{pool} }

// Add stores the key and retires what is too much, one caller at a time.
func (s *ServiceKeys) Add(ctx context.Context, k auth.ServiceKey) error {
	return translate("add service key", pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		if err := q.LockServiceKeys(ctx); err != nil {
			return err
		}
		added, err := q.AddServiceKey(ctx, authdb.AddServiceKeyParams{
			KeyHash: k.Hash[:], Service: k.Service, CreatedAt: k.CreatedAt, RetiredAt: optional(k.RetiredAt),
		})
		switch {
		case err != nil:
			return err
		case added == 0:
			return fault.New(fault.StateConflict)
		}
		return q.RetireOldServiceKeys(ctx, authdb.RetireOldServiceKeysParams{
			Now: &k.CreatedAt, Service: k.Service, Most: auth.LiveServiceKeys,
		})
	}))
}

// List answers every key, newest first.
func (s *ServiceKeys) List(ctx context.Context) ([]auth.ServiceKey, error) {
	rows, err := authdb.New(s.pool).ServiceKeys(ctx)
	if err != nil {
		return nil, translate("list service keys", err)
	}
	keys := make([]auth.ServiceKey, len(rows))
	for i, row := range rows {
		keys[i] = auth.ServiceKey{Service: row.Service, CreatedAt: row.CreatedAt.UTC(), RetiredAt: moment(row.RetiredAt)}
		copy(keys[i].Hash[:], row.KeyHash)
	}
	return keys, nil
}

// Retire ends the key.
func (s *ServiceKeys) Retire(ctx context.Context, hash auth.KeyHash, now time.Time) error {
	found, err := authdb.New(s.pool).RetireServiceKey(ctx, authdb.RetireServiceKeyParams{KeyHash: hash[:], Now: &now})
	if err == nil && found == 0 {
		return fault.New(fault.ResourceNotFound)
	}
	return translate("retire service key", err)
}
