package postgres

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/idempotency"
	"phonebill/ports"
)

// keyDigests are keys and payloads at rest: keyed, for a payload is a line number and a month or two plans, which are quickly guessed, and
// a key may be anything. What the release before kept, plain digests, is still found and compared until it is a day old.
type keyDigests struct {
	vault ports.Vault
	table string // database.table
}

func (d keyDigests) key(u idempotency.Use) []byte {
	return d.vault.Index(d.table+".key", string(u.Key[:]))
}

// payload is bound to its key, so that the same wish under two keys is not told to be the same.
func (d keyDigests) payload(u idempotency.Use) []byte {
	return d.vault.Index(d.table+".payload", string(u.Key[:])+string(u.Payload[:]))
}

// first is the row of a key's first use as u sees it.
func (d keyDigests) first(u idempotency.Use, payload []byte, request uuid.UUID, at time.Time) idempotency.Use {
	if !bytes.Equal(payload, d.payload(u)) && !bytes.Equal(payload, u.Payload[:]) {
		u.Payload = idempotency.Payload{}
	}
	u.Request, u.At = id.ID(request), at.UTC()
	return u
}

// InquiryKeys implements ports.IdempotencyKeys for inquiries.
type InquiryKeys struct {
	pool *pgxpool.Pool
	keys keyDigests
}

var _ ports.IdempotencyKeys = (*InquiryKeys)(nil)

// NewInquiryKeys works on the bill database.
func NewInquiryKeys(pool *pgxpool.Pool, vault ports.Vault) *InquiryKeys {
	return &InquiryKeys{pool, keyDigests{vault, "bill.idempotency_keys"}}
}

// Claim stores the use, unless the key is taken.
func (k *InquiryKeys) Claim(ctx context.Context, u idempotency.Use, since time.Time, instead id.ID) (idempotency.Use, error) {
	q := billdb.New(k.pool)
	claimed, err := q.ClaimKey(ctx, billdb.ClaimKeyParams{
		UserID: string(u.User), KeyHash: k.keys.key(u), PayloadHash: k.keys.payload(u), RequestID: uuid.UUID(u.Request), UsedAt: u.At,
		Since: since, Instead: uuid.UUID(instead), PlainHash: u.Key[:],
	})
	if err != nil || claimed > 0 {
		return u, translate("claim idempotency key", err)
	}
	row, err := q.UsedKey(ctx, billdb.UsedKeyParams{UserID: string(u.User), KeyHash: k.keys.key(u), PlainHash: u.Key[:]})
	if err != nil { // dropped between the two: as new, but for the next try
		return u, translate("read idempotency key", err, fault.StateConflict)
	}
	return k.keys.first(u, row.PayloadHash, row.RequestID, row.UsedAt), nil
}

// Release drops the use.
func (k *InquiryKeys) Release(ctx context.Context, u idempotency.Use) error {
	return translate("release idempotency key", billdb.New(k.pool).ReleaseKey(ctx, billdb.ReleaseKeyParams{
		UserID: string(u.User), KeyHash: k.keys.key(u), PlainHash: u.Key[:], RequestID: uuid.UUID(u.Request),
	}))
}

// Forget drops old uses.
func (k *InquiryKeys) Forget(ctx context.Context, before time.Time, n int) (int, error) {
	dropped, err := billdb.New(k.pool).ForgetKeys(ctx, billdb.ForgetKeysParams{Before: before, N: int64(n)})
	return int(dropped), translate("drop idempotency keys", err)
}

// ForgetKeys drops up to n keys of orders used before, and answers how many it dropped.
func (s *Orders) ForgetKeys(ctx context.Context, before time.Time, n int) (int, error) {
	dropped, err := productdb.New(s.pool).ForgetKeys(ctx, productdb.ForgetKeysParams{Before: before, N: int64(n)})
	return int(dropped), translate("drop idempotency keys", err)
}
