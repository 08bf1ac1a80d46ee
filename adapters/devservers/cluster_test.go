package devservers

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAClusterRedirectsKeys(t *testing.T) {
	t.Parallel()
	if find() == "" && os.Getenv("PHONEBILL_TEST_REQUIRED") != "1" {
		t.Skip(ErrNoBinary)
	}
	c, err := StartCluster(t.Context(), CacheOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop(context.Background())) })
	require.Len(t, c.Addrs(), masters)
	held := 0
	for n, node := range c.nodes {
		require.Equal(t, c.Addrs()[n], node.Addr())
		require.Equal(t, c.Password(), node.Password())
		for _, key := range []string{"{a}", "{b}", "{c}", "{d}"} {
			answer, err := node.do(t.Context(), "SET", key, "1")
			require.NoError(t, err)
			if answer == "+OK" {
				held++
				continue
			}
			require.Regexp(t, "^-MOVED ", answer)
		}
	}
	require.Equal(t, 4, held, "each key has one node")
	require.NoError(t, c.StopNode(t.Context(), 1))
	_, err = c.nodes[1].do(t.Context(), "PING")
	require.Error(t, err)
	require.NoError(t, c.Stop(t.Context()))
	_, err = os.Stat(c.dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAFailedClusterLeavesNothing(t *testing.T) {
	t.Parallel()
	_, err := StartCluster(t.Context(), CacheOptions{Binary: program(t, "Valkey server v=8.0.1 sha=0", "exit 1")})
	require.ErrorIs(t, err, errEnded)
}
