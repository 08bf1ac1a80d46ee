package kos

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
)

func TestUnloggedCallsHaveNoMoreThanTheirRoom(t *testing.T) {
	t.Parallel()
	u, big, kept := &unlogged{}, audit.Call{Answer: make([]byte, 1<<20)}, 0
	for u.keep(big) {
		kept++
	}
	require.Equal(t, 15, kept)
	require.True(t, u.keep(audit.Call{}), "there is room for a small one")
	for range 16 {
		_, ok := u.first()
		require.True(t, ok)
		u.drop()
	}
	_, ok := u.first()
	require.False(t, ok)
	require.True(t, u.keep(big), "the room is free again")
}
