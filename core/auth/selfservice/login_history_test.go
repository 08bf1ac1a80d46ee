package selfservice_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/selfservice"
)

func TestOwnHistoryHasNoOtherUsersEvents(t *testing.T) {
	t.Parallel()
	records := &memory.LoginHistory{}
	for _, user := range []auth.UserID{"hong", "other", "hong"} {
		require.NoError(t, records.Append(t.Context(), auth.LoginEvent{UserID: user}))
	}
	s := selfservice.LoginHistory{Records: records}
	events, total, err := s.Own(t.Context(), "hong", 1, 10)
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.Equal(t, 2, total)
}
