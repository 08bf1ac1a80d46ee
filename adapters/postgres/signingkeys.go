package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/personal"
	"phonebill/ports"
)

// SigningKeys implements ports.SigningKeys. Seeds are sealed, bound to their key id.
type SigningKeys struct {
	pool  *pgxpool.Pool
	vault ports.Vault
}

var _ ports.SigningKeys = (*SigningKeys)(nil)

func seedPurpose(kid string) string { return "auth.signing_keys.seed:" + kid }

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
		seed, err := k.vault.Open(seedPurpose(row.Kid), row.SeedSealed)
		if err != nil {
			return nil, translate("open signing key", err)
		}
		keys[i] = auth.SigningKey{KeyID: row.Kid, Seed: personal.NewSecret(string(seed)), CreatedAt: row.CreatedAt.UTC()}
	}
	return keys, nil
}

// AddFirst takes an advisory lock, so that of many that find no key one adds its own and the others see it.
func (k *SigningKeys) AddFirst(ctx context.Context, key auth.SigningKey) error {
	sealed, err := k.vault.Seal(seedPurpose(key.KeyID), []byte(key.Seed.Reveal()))
	if err != nil {
		return translate("seal signing key", err)
	}
	err = pgx.BeginFunc(ctx, k.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		if err := q.LockSigningKeys(ctx); err != nil {
			return err
		}
		return q.AddSigningKeyIfNone(ctx, authdb.AddSigningKeyIfNoneParams{
			Kid: key.KeyID, SeedSealed: sealed, CreatedAt: key.CreatedAt,
		})
	})
	return translate("add signing key", err)
}
