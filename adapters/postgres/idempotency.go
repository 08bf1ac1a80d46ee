package postgres

import (
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

// InquiryKeys implements ports.IdempotencyKeys for inquiries.
type InquiryKeys struct{ pool *pgxpool.Pool }

var _ ports.IdempotencyKeys = (*InquiryKeys)(nil)

// NewInquiryKeys works on the bill database.
func NewInquiryKeys(pool *pgxpool.Pool) *InquiryKeys { return &InquiryKeys{pool} }

// Claim stores the use, unless the key is taken.
func (k *InquiryKeys) Claim(ctx context.Context, u idempotency.Use, since time.Time, instead id.ID) (idempotency.Use, error) {
	q := billdb.New(k.pool)
	claimed, err := q.ClaimKey(ctx, billdb.ClaimKeyParams{
		UserID: string(u.User), KeyHash: u.Key[:], PayloadHash: u.Payload[:], RequestID: uuid.UUID(u.Request), UsedAt: u.At,
		Since: since, Instead: uuid.UUID(instead),
	})
	if err != nil || claimed > 0 {
		return u, translate("claim idempotency key", err)
	}
	row, err := q.UsedKey(ctx, billdb.UsedKeyParams{UserID: string(u.User), KeyHash: u.Key[:]})
	if err != nil { // dropped between the two: as new, but for the next try
		return u, translate("read idempotency key", err, fault.StateConflict)
	}
	u.Payload, u.Request, u.At = idempotency.Payload(row.PayloadHash), id.ID(row.RequestID), row.UsedAt.UTC()
	return u, nil
}

// Release drops the use.
func (k *InquiryKeys) Release(ctx context.Context, u idempotency.Use) error {
	return translate("release idempotency key", billdb.New(k.pool).ReleaseKey(ctx, billdb.ReleaseKeyParams{
		UserID: string(u.User), KeyHash: u.Key[:], RequestID: uuid.UUID(u.Request),
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
