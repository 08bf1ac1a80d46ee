package postgres

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/request"
	"phonebill/migrations"
	"phonebill/ports"
)

// IdempotencyKeys implements ports.IdempotencyKeys in a product's database. Keys and payloads are stored as keyed
// digests: a payload is a line number and a month or two plans, which are quickly guessed, and a key may be anything.
// The plain digests that an older release stored are found and compared until they are a day old.
type IdempotencyKeys struct {
	pool  *pgxpool.Pool
	vault ports.Vault
	table string // database.table
}

var _ ports.IdempotencyKeys = (*IdempotencyKeys)(nil)

// NewIdempotencyKeys works on the database of a product.
func NewIdempotencyKeys(pool *pgxpool.Pool, db migrations.Database, vault ports.Vault) *IdempotencyKeys {
	return &IdempotencyKeys{pool, vault, string(db) + ".idempotency_keys"}
}

// Claim stores the use, unless the key is used already.
func (k *IdempotencyKeys) Claim(
	ctx context.Context, u request.KeyUse, since time.Time, instead id.ID,
) (request.KeyUse, error) {
	claimed, err := k.claim(ctx, k.pool, u, since, instead)
	if err != nil || claimed {
		return u, translate("claim idempotency key", err)
	}
	// A key that was deleted between the two statements conflicts; the next attempt finds it free.
	return k.used(ctx, u, time.Time{}, fault.StateConflict)
}

func (k *IdempotencyKeys) claim(
	ctx context.Context, db requestdb.DBTX, u request.KeyUse, since time.Time, instead id.ID,
) (bool, error) {
	claimed, err := requestdb.New(db).ClaimKey(ctx, requestdb.ClaimKeyParams{
		UserID: string(u.User), KeyHash: k.key(u), PayloadHash: k.payload(u), RequestID: uuid.UUID(u.Request), UsedAt: u.At,
		Since: since, Instead: uuid.UUID(instead), PlainHash: u.Key[:],
	})
	return claimed > 0, err
}

func (k *IdempotencyKeys) used(
	ctx context.Context, u request.KeyUse, since time.Time, missing fault.Code,
) (request.KeyUse, error) {
	row, err := requestdb.New(k.pool).UsedKey(ctx, requestdb.UsedKeyParams{
		UserID: string(u.User), KeyHash: k.key(u), PlainHash: u.Key[:], Since: since,
	})
	if err != nil {
		return u, translate("read idempotency key", err, missing)
	}
	if !bytes.Equal(row.PayloadHash, k.payload(u)) && !bytes.Equal(row.PayloadHash, u.Payload[:]) {
		u.Payload = request.Payload{}
	}
	u.Request, u.At = id.ID(row.RequestID), row.UsedAt.UTC()
	return u, nil
}

// Release deletes the use.
func (k *IdempotencyKeys) Release(ctx context.Context, u request.KeyUse) error {
	return translate("release idempotency key", requestdb.New(k.pool).ReleaseKey(ctx, requestdb.ReleaseKeyParams{
		UserID: string(u.User), KeyHash: k.key(u), PlainHash: u.Key[:], RequestID: uuid.UUID(u.Request),
	}))
}

// Forget deletes up to n uses from before that time and returns their number.
func (k *IdempotencyKeys) Forget(ctx context.Context, before time.Time, n int) (int, error) {
	dropped, err := requestdb.New(k.pool).ForgetKeys(ctx, requestdb.ForgetKeysParams{Before: before, N: int64(n)})
	return int(dropped), translate("drop idempotency keys", err)
}

func (k *IdempotencyKeys) key(u request.KeyUse) []byte {
	return k.vault.Index(k.table+".key", string(u.Key[:]))
}

// payload binds the digest to its key, so that rows do not show that two keys stand for the same request.
func (k *IdempotencyKeys) payload(u request.KeyUse) []byte {
	return k.vault.Index(k.table+".payload", string(u.Key[:])+string(u.Payload[:]))
}
