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

// List answers all keys, newest first.
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

// AddNext takes an advisory lock, so that of many that saw the same newest key one adds its own.
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

// Retire refuses the key from at on.
func (k *SigningKeys) Retire(ctx context.Context, kid string, at time.Time) error {
	n, err := authdb.New(k.pool).RetireSigningKey(ctx, authdb.RetireSigningKeyParams{Kid: kid, At: at})
	if err == nil && n == 0 {
		err = fault.New(fault.ResourceNotFound)
	}
	return translate("retire signing key", err)
}
