package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// plainly stores a use as the previous release did: as plain digests.
func plainly(t *testing.T, pool *pgxpool.Pool, u request.KeyUse) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `INSERT INTO idempotency_keys (user_id, key_hash, payload_hash, request_id, used_at)
		VALUES ($1, $2, $3, $4, $5)`, string(u.User), u.Key[:], u.Payload[:], uuid.UUID(u.Request), u.At)
	require.NoError(t, err)
}

func useOf(t *testing.T, of byte, at time.Time, fields ...string) request.KeyUse {
	t.Helper()
	key, err := request.ParseKey("the-same")
	require.NoError(t, err)
	return request.KeyUse{User: "hong", Key: key, Payload: request.PayloadOf(fields...), Request: id.ID{of}, At: at}
}

// TestAnInquiryIsRepeatedOverAnUpgrade: a key of before the upgrade returns its request, and is not refused as another
// one.
func TestAnInquiryIsRepeatedOverAnUpgrade(t *testing.T) {
	t.Parallel()
	db, long := pgtest.New(t, migrations.Bill), noon.Add(-request.KeyWindow)
	keys := postgres.NewIdempotencyKeys(db.Pool, migrations.Bill, keyring(t))
	before := useOf(t, 1, noon, "line", "2026-03")
	claim := func(u request.KeyUse, since time.Time, instead id.ID) request.KeyUse {
		got, err := keys.Claim(t.Context(), u, since, instead)
		require.NoError(t, err)
		return got
	}
	plainly(t, db.Pool, before)
	again, other := useOf(t, 2, noon.Add(time.Minute), "line", "2026-03"),
		useOf(t, 3, noon.Add(time.Minute), "line", "2026-02")
	require.Equal(t, before, claim(again, long, id.ID{}))
	require.ErrorIs(t, other.Repeats(claim(other, long, id.ID{})), fault.New(fault.IdempotencyKeyReused))
	require.Equal(t, before, claim(again, long, id.ID{9}), "not instead of another request")
	require.Equal(t, 1, count(t, db.Admin, "idempotency_keys"))

	require.Equal(t, again, claim(again, long, before.Request), "instead of the first, which was lost")
	later := useOf(t, 4, noon.Add(2*time.Minute), "line", "2026-03")
	require.Equal(t, again, claim(later, long, id.ID{}), "it stands for that one now")
	require.NoError(t, keys.Release(t.Context(), again))
	require.NoError(t, keys.Release(t.Context(), before))
	require.Zero(t, count(t, db.Admin, "idempotency_keys"), "both forms are given back")

	plainly(t, db.Pool, before)
	late := useOf(t, 5, noon.Add(request.KeyWindow+time.Second), "line", "2026-03")
	require.Equal(t, late, claim(late, late.At.Add(-request.KeyWindow), id.ID{}), "a day later the key is new")
}

func TestAnOrderIsRepeatedOverAnUpgrade(t *testing.T) {
	t.Parallel()
	db, day := pgtest.New(t, migrations.Product), portstest.Month().First()
	orders := postgres.NewOrders(db.Pool, keyring(t))
	add := func(u request.KeyUse, n int) error {
		return orders.Add(t.Context(), product.Order{
			ID: u.Request, TransactionID: u.Request, UserID: u.User, Line: portstest.Line(n), EffectiveDate: day,
			State: product.Requested, RequestedAt: u.At, NextAttemptAt: u.At,
		}, u)
	}
	before := useOf(t, 1, noon, "line", "LTE", "5G", "")
	plainly(t, db.Pool, before)
	again, other := useOf(t, 2, noon.Add(time.Minute), "line", "LTE", "5G", ""),
		useOf(t, 3, noon.Add(time.Minute), "line", "LTE", "3G", "")
	require.ErrorIs(t, add(again, 2), ports.ErrKeyUsed)
	long := noon.Add(-time.Hour)
	got, err := orders.Used(t.Context(), again, long)
	require.NoError(t, err)
	require.Equal(t, before, got)
	got, err = orders.Used(t.Context(), other, long)
	require.NoError(t, err)
	require.ErrorIs(t, other.Repeats(got), fault.New(fault.IdempotencyKeyReused))
	late := useOf(t, 4, noon.Add(request.KeyWindow+time.Second), "line", "LTE", "5G", "")
	require.NoError(t, add(late, 4), "a day later the key is new")
	got, err = orders.Used(t.Context(), late, long)
	require.NoError(t, err)
	require.Equal(t, late, got, "and stands for the newer one")
}

// TestTheSamePayloadUnderTwoKeysHasTwoDigests: the table does not show that two keys have one payload.
func TestTheSamePayloadUnderTwoKeysHasTwoDigests(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	keys := postgres.NewIdempotencyKeys(db.Pool, migrations.Bill, keyring(t))
	for _, name := range []string{"a", "b"} {
		key, err := request.ParseKey(name)
		require.NoError(t, err)
		u := useOf(t, name[0], noon, "line", "2026-03")
		u.Key = key
		_, err = keys.Claim(t.Context(), u, noon, id.ID{})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"2"}, texts(t, db.Admin, "SELECT count(DISTINCT payload_hash)::text FROM idempotency_keys"))
}
