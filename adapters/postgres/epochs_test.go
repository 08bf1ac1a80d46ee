package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/migrations"
	"phonebill/ports/portstest"
)

// TestAnEpochThatCommitsLateIsToldLate holds a raise back between its statement and its commit: the feed's time waits for it.
func TestAnEpochThatCommitsLateIsToldLate(t *testing.T) {
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

// TestThePreviousReleaseMayRaise inserts as a release does that does not know raised_at.
func TestThePreviousReleaseMayRaise(t *testing.T) {
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
