package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// ServiceKeys implements ports.ServiceKeys.
type ServiceKeys struct{ pool *pgxpool.Pool }

var _ ports.ServiceKeys = (*ServiceKeys)(nil)

// NewServiceKeys works on the auth database.
func NewServiceKeys(pool *pgxpool.Pool) *ServiceKeys { return &ServiceKeys{pool} }

// Add stores the key and retires the oldest of too many, one caller at a time.
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

// List returns every key, newest first.
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
	return translate("retire service key", changed(found, err, fault.ResourceNotFound))
}

// SigningKeys implements ports.SigningKeys. Seeds are sealed, bound to their key id.
type SigningKeys struct {
	pool  *pgxpool.Pool
	vault ports.Vault
}

var _ ports.SigningKeys = (*SigningKeys)(nil)

// seedPlace has no keys: its name holds the only one, the key's id.
func seedPlace(kid string) sealing.Place { return sealing.At("auth.signing_keys.seed:" + kid) }

// NewSigningKeys works on the auth database.
func NewSigningKeys(pool *pgxpool.Pool, vault ports.Vault) *SigningKeys {
	return &SigningKeys{pool, vault}
}

// List returns all keys, newest first.
func (k *SigningKeys) List(ctx context.Context) ([]auth.SigningKey, error) {
	rows, err := authdb.New(k.pool).SigningKeys(ctx)
	if err != nil {
		return nil, translate("read signing keys", err)
	}
	keys := make([]auth.SigningKey, len(rows))
	for i, row := range rows {
		seed, err := k.vault.Open(seedPlace(row.Kid), row.SeedSealed)
		if err != nil {
			return nil, translate("open signing key", err)
		}
		keys[i] = auth.SigningKey{
			KeyID: row.Kid, Seed: personal.NewSecret(string(seed)), CreatedAt: row.CreatedAt.UTC(), ActiveAt: row.ActiveAt.UTC(),
			RetiredAt: moment(row.RetiredAt),
		}
	}
	return keys, nil
}

// AddFirst adds the key when there is none.
func (k *SigningKeys) AddFirst(ctx context.Context, key auth.SigningKey) error {
	err := k.AddNext(ctx, key, "")
	if errors.Is(err, fault.New(fault.StateConflict)) {
		return nil
	}
	return err
}

// AddNext takes an advisory lock, so that of many callers that saw the same newest key one adds its own.
func (k *SigningKeys) AddNext(ctx context.Context, key auth.SigningKey, newest string) error {
	sealed, err := k.vault.Seal(seedPlace(key.KeyID), []byte(key.Seed.Reveal()))
	if err != nil {
		return translate("seal signing key", err)
	}
	err = pgx.BeginFunc(ctx, k.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		if err := q.LockSigningKeys(ctx); err != nil {
			return err
		}
		held, err := q.NewestSigningKey(ctx)
		if err != nil {
			return err
		}
		if held != newest {
			return fault.New(fault.StateConflict)
		}
		return q.AddSigningKey(ctx, authdb.AddSigningKeyParams{
			Kid: key.KeyID, SeedSealed: sealed, CreatedAt: key.CreatedAt, ActiveAt: optional(key.ActiveAt),
		})
	})
	return translate("add signing key", err)
}

// Retire sets from when on the key is refused.
func (k *SigningKeys) Retire(ctx context.Context, kid string, at time.Time) error {
	n, err := authdb.New(k.pool).RetireSigningKey(ctx, authdb.RetireSigningKeyParams{Kid: kid, At: at})
	return translate("retire signing key", changed(n, err, fault.ResourceNotFound))
}
