package kos

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
)

func TestPendingCallsAreBounded(t *testing.T) {
	t.Parallel()
	p, big, kept := &pendingCalls{}, audit.Call{Answer: make([]byte, 1<<20)}, 0
	for p.add(big) {
		kept++
	}
	require.Equal(t, 15, kept)
	require.True(t, p.add(audit.Call{}), "there is room for a small one")
	for range 16 {
		_, ok := p.oldest()
		require.True(t, ok)
		p.removeOldest()
	}
	_, ok := p.oldest()
	require.False(t, ok)
	require.True(t, p.add(big), "the room is free again")
}
