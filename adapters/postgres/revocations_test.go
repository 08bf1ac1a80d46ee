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

// TestARevocationThatCommitsLateIsDeliveredLate delays the commit of a logout over several pulls: the feed's time waits
// for it.
func TestARevocationThatCommitsLateIsDeliveredLate(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, migrations.Auth).Pool
	users, sessions := postgres.NewUsers(pool, keyring(t)), postgres.NewSessions(pool)
	feed := postgres.NewRevocations(pool, auth.DefaultSessions().Access, auth.DefaultKeys())
	require.NoError(t, users.Create(t.Context(), portstest.Owner()))
	policy := auth.DefaultSessions()
	_, err := sessions.Create(t.Context(),
		policy.NewSession(id.ID{1}, portstest.Owner().UserID, false, auth.Client{}, time.Now()), policy)
	require.NoError(t, err)

	slow, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = slow.Exec(t.Context(), "UPDATE sessions SET revoked_at = now(), noted_at = clock_timestamp()")
	require.NoError(t, err)
	var asOf time.Time
	for range 3 {
		_, err = pool.Exec(t.Context(), "SELECT pg_sleep(0.01)")
		require.NoError(t, err)
		got, err := feed.Since(t.Context(), asOf)
		require.NoError(t, err)
		require.Empty(t, got.Revocations)
		if !asOf.IsZero() {
			require.Equal(t, asOf, got.AsOf, "it waits for the transaction")
		}
		asOf = got.AsOf
	}
	require.NoError(t, slow.Commit(t.Context()))
	got, err := feed.Since(t.Context(), asOf)
	require.NoError(t, err)
	require.Len(t, got.Revocations, 1)
	require.True(t, got.AsOf.After(asOf))
}

// TestSessionsOfPreviousReleaseAreRevoked ends a session without noted_at.
func TestSessionsOfPreviousReleaseAreRevoked(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, migrations.Auth).Pool
	sessions, policy := postgres.NewSessions(pool), auth.DefaultSessions()
	require.NoError(t, postgres.NewUsers(pool, keyring(t)).Create(t.Context(), portstest.Owner()))
	_, err := sessions.Create(t.Context(),
		policy.NewSession(id.ID{1}, portstest.Owner().UserID, false, auth.Client{}, time.Now()), policy)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "UPDATE sessions SET revoked_at = now()")
	require.NoError(t, err)
	got, err := postgres.NewRevocations(pool, policy.Access, auth.DefaultKeys()).Since(t.Context(), time.Time{})
	require.NoError(t, err)
	require.Len(t, got.Revocations, 1)
}

// TestAnEpochThatCommitsLateIsDeliveredLate delays the commit of a raise: the feed's time waits for it.
func TestAnEpochThatCommitsLateIsDeliveredLate(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, migrations.KOS).Pool
	epochs := postgres.NewEpochs(pool, keyring(t))
	require.NoError(t, epochs.Raise(t.Context(), portstest.Line(1), time.Now()))
	var asOf time.Time
	require.Eventually(t, func() bool {
		raised, now, err := epochs.Raised(t.Context(), asOf)
		asOf = now
		return err == nil && len(raised) == 0
	}, 10*time.Second, time.Millisecond)

	slow, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = slow.Exec(t.Context(), "UPDATE line_epochs SET at = now(), raised_at = clock_timestamp()")
	require.NoError(t, err)
	_, begun, err := epochs.Raised(t.Context(), asOf)
	require.NoError(t, err)
	for range 3 {
		_, err = pool.Exec(t.Context(), "SELECT pg_sleep(0.01)")
		require.NoError(t, err)
		raised, now, err := epochs.Raised(t.Context(), begun)
		require.NoError(t, err)
		require.Empty(t, raised)
		require.Equal(t, begun, now, "it waits for the transaction")
	}
	require.NoError(t, slow.Commit(t.Context()))
	raised, now, err := epochs.Raised(t.Context(), begun)
	require.NoError(t, err)
	require.Len(t, raised, 1)
	require.True(t, now.After(begun))
}

// TestPreviousReleaseMayRaiseEpochs inserts without raised_at.
func TestPreviousReleaseMayRaiseEpochs(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, migrations.KOS).Pool
	_, asOf, err := postgres.NewEpochs(pool, keyring(t)).Raised(t.Context(), time.Time{})
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "INSERT INTO line_epochs (line_index, at) VALUES ('x', now())")
	require.NoError(t, err)
	raised, _, err := postgres.NewEpochs(pool, keyring(t)).Raised(t.Context(), asOf)
	require.NoError(t, err)
	require.Len(t, raised, 1)
}
