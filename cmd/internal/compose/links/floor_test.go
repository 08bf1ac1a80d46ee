package links

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALongMissingFloorIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	m := &missingFloor{
		log: slog.New(slog.NewTextHandler(&out, nil)), now: func() time.Time { return now }, patience: 12 * time.Minute,
	}
	note := func(held bool) int {
		out.Reset()
		m.note(t.Context(), held)
		now = now.Add(6 * time.Minute)
		return strings.Count(out.String(), "\n")
	}
	require.Zero(t, note(true))
	require.Zero(t, note(false))
	require.Zero(t, note(false), "the lease of a process that crashed")
	require.Equal(t, 1, note(false))
	require.Contains(t, out.String(), "KOS_INSTANCES")
	require.Contains(t, out.String(), "without=12m0s")
	require.Zero(t, note(false), "once")
	require.Equal(t, 1, note(true))
	require.Zero(t, note(true))
	require.Zero(t, note(false), "it begins anew")
}
