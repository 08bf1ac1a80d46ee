package devstack_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/auth"
)

func TestAccountsOfTheDemoKnowWhenTheyWereMade(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	var users memory.Users
	factors := memory.SecondFactors{Users: &users}
	people, err := devstack.PlanPeople(func(_ string, fresh func() string) (string, error) { return fresh(), nil },
		func(n int) string { return "abcdefghijklmnop"[:n] })
	require.NoError(t, err)
	require.NoError(t, devstack.SeedPeople(t.Context(), people, &users, &factors, now))
	for _, l := range append(people.Customers, people.Operator, people.Admin) {
		u, err := users.ByID(t.Context(), auth.UserID(l.UserID))
		require.NoError(t, err)
		require.Equal(t, now, u.CreatedAt)
		for _, g := range u.Grants {
			require.Equal(t, now, g.GrantedAt)
		}
	}
}
