package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/migrations"
)

// TestAccountsOfBeforeThatDifferInCaseAlone: they are there before the migration that keeps new ones from it, are reported, and log in by
// exact spelling until all but one are INACTIVE.
func TestAccountsOfBeforeThatDifferInCaseAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Auth)
	keys := keyring(t)
	users, accounts := postgres.NewUsers(db.Pool, keys), postgres.NewAccounts(db.Pool, keys)
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	trigger := func(how string) {
		_, err := db.Admin.Exec(t.Context(), "ALTER TABLE users "+how+" TRIGGER one_user_id_of_any_case")
		require.NoError(t, err)
	}
	trigger("DISABLE")
	for _, user := range []auth.UserID{"Kim123", "kim123", "lee123", "Hong12", "HONG12", "hong12"} {
		require.NoError(t, users.Create(t.Context(), auth.User{UserID: user, Status: auth.Active, CreatedAt: now}))
	}
	trigger("ENABLE")
	found, err := accounts.Clashes(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []auth.UserID{"HONG12", "Hong12", "hong12", "Kim123", "kim123"}, found)
	found, err = accounts.Clashes(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []auth.UserID{"HONG12", "Hong12", "hong12"}, found)

	meant := func(typed auth.UserID) auth.UserID {
		t.Helper()
		user, err := users.ByLogin(t.Context(), typed)
		if err != nil {
			require.ErrorIs(t, err, fault.New(fault.UserNotFound))
		}
		return user.UserID
	}
	for typed, want := range map[auth.UserID]auth.UserID{"Kim123": "Kim123", "kim123": "kim123", "KIM123": "", "LEE123": "lee123"} {
		require.Equal(t, want, meant(typed), typed)
	}
	_, err = users.Change(t.Context(), "Kim123", func(u auth.User) (auth.User, error) { u.Status = auth.Inactive; return u, nil })
	require.NoError(t, err)
	require.Equal(t, auth.UserID("kim123"), meant("KIM123"))
	require.Equal(t, auth.UserID("Kim123"), meant("Kim123"))
	found, err = accounts.Clashes(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []auth.UserID{"HONG12", "Hong12", "hong12"}, found)
	added, err := accounts.AddAll(t.Context(), []auth.User{
		{UserID: "KIM123", Status: auth.Active, CreatedAt: now}, {UserID: "park12", Status: auth.Active, CreatedAt: now},
		{UserID: "Park12", Status: auth.Active, CreatedAt: now},
	})
	require.NoError(t, err)
	require.Equal(t, 1, added, "one statement sees its own rows")
	byID, total, err := accounts.Search(t.Context(), auth.AccountFilter{UserID: "KIM123", Now: now, Page: 1, Size: 10})
	require.NoError(t, err)
	require.Equal(t, 2, total)
	require.Equal(t, auth.UserID("Kim123"), byID[0].UserID)
}

// TestGuessesOfUserIDsThatClashAreCountedApart: an unlock of one leaves the other locked, and each lock shows at its own account.
func TestGuessesOfUserIDsThatClashAreCountedApart(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Auth)
	keys, now := keyring(t), time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	users, accounts := postgres.NewUsers(db.Pool, keys), postgres.NewAccounts(db.Pool, keys)
	guesses, history := postgres.NewGuesses(db.Pool, keys, auth.DefaultLockout()), postgres.NewLoginHistory(db.Pool, keys)
	exec(t, db.Admin, "ALTER TABLE users DISABLE TRIGGER one_user_id_of_any_case")
	for _, user := range []auth.UserID{"Kim123", "kim123"} {
		require.NoError(t, users.Create(t.Context(), auth.User{UserID: user, Status: auth.Active, CreatedAt: now}))
	}
	for range auth.DefaultLockout().Failures {
		guess, err := guesses.Take(t.Context(), auth.Subject{UserID: "Kim123"}, now)
		require.NoError(t, err)
		_, err = guesses.Fail(t.Context(), auth.Subject{UserID: "Kim123"}, guess, now)
		require.NoError(t, err)
	}
	require.NoError(t, history.Append(t.Context(), auth.LoginEvent{
		ID: id.ID{1}, UserID: "Kim123", Known: true, Type: auth.EventLocked, At: now,
	}))
	require.NoError(t, guesses.Clear(t.Context(), "kim123"))
	locked, total, err := accounts.Search(t.Context(), auth.AccountFilter{Status: auth.LockedOut, Now: now, Page: 1, Size: 10})
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, auth.UserID("Kim123"), locked[0].UserID)
	both, _, err := accounts.Search(t.Context(), auth.AccountFilter{UserID: "kim123", Now: now, Page: 1, Size: 10})
	require.NoError(t, err)
	require.Equal(t, []bool{true, false}, []bool{both[0].LockedUntil.After(now), both[1].LockedUntil.After(now)})
}
