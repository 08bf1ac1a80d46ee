package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/migrations"
	"phonebill/ports/portstest"
)

// TestARevocationThatCommitsLateIsToldLate holds a log-out back between its statement and its commit, as a paused process would, for
// as many pulls as one likes: the feed's time waits for it.
func TestARevocationThatCommitsLateIsToldLate(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, migrations.Auth).Pool
	users, sessions := postgres.NewUsers(pool, keyring(t)), postgres.NewSessions(pool)
	feed := postgres.NewRevocations(pool, auth.DefaultSessions().Access, auth.DefaultKeys())
	require.NoError(t, users.Create(t.Context(), portstest.Owner()))
	policy := auth.DefaultSessions()
	_, err := sessions.Create(t.Context(), policy.NewSession(id.ID{1}, portstest.Owner().UserID, false, auth.Client{}, time.Now()), policy)
	require.NoError(t, err)

	slow, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = slow.Exec(t.Context(), "UPDATE sessions SET revoked_at = now(), noted_at = clock_timestamp()")
	require.NoError(t, err)
	var asOf time.Time
	for range 3 {
		_, err = pool.Exec(t.Context(), "SELECT pg_sleep(0.01)")
		require.NoError(t, err)
		told, err := feed.Since(t.Context(), asOf)
		require.NoError(t, err)
		require.Empty(t, told.Revocations)
		if !asOf.IsZero() {
			require.Equal(t, asOf, told.AsOf, "it waits for the transaction")
		}
		asOf = told.AsOf
	}
	require.NoError(t, slow.Commit(t.Context()))
	told, err := feed.Since(t.Context(), asOf)
	require.NoError(t, err)
	require.Len(t, told.Revocations, 1)
	require.True(t, told.AsOf.After(asOf))
}

// TestSessionsOfThePreviousReleaseAreTold ends a session the way a release does that does not know noted_at.
func TestSessionsOfThePreviousReleaseAreTold(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, migrations.Auth).Pool
	sessions, policy := postgres.NewSessions(pool), auth.DefaultSessions()
	require.NoError(t, postgres.NewUsers(pool, keyring(t)).Create(t.Context(), portstest.Owner()))
	_, err := sessions.Create(t.Context(), policy.NewSession(id.ID{1}, portstest.Owner().UserID, false, auth.Client{}, time.Now()), policy)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "UPDATE sessions SET revoked_at = now()")
	require.NoError(t, err)
	told, err := postgres.NewRevocations(pool, policy.Access, auth.DefaultKeys()).Since(t.Context(), time.Time{})
	require.NoError(t, err)
	require.Len(t, told.Revocations, 1)
}
