package breaking_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internal/breaking"
)

func TestParse(t *testing.T) {
	t.Parallel()
	p, ok := breaking.Parse("5/30s/3")
	require.True(t, ok)
	require.Equal(t, breaking.Default(), p)
	p, ok = breaking.Parse("100/1h/1")
	require.True(t, ok)
	require.Equal(t, breaking.Policy{Failures: 100, Open: time.Hour, Successes: 1}, p)
	for _, wrong := range []string{
		"", "5", "5/30s", "5/30s/3/1", "0/30s/3", "101/30s/3", "5/0s/3", "5/2h/3", "5/30s/0", "5/30/3", "x/30s/3", "5/30s/x",
	} {
		_, ok := breaking.Parse(wrong)
		require.False(t, ok, wrong)
	}
}
