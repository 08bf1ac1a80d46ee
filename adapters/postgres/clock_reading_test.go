package postgres

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAnExactReadingStands until another is as exact, or until the database's clock was set.
func TestAnExactReadingStands(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	exact := reading{here: began, there: began, within: time.Millisecond}
	for name, c := range map[string]struct {
		after, off, within time.Duration
		goes               bool
	}{
		"as exact":                            {10 * time.Second, time.Millisecond, time.Millisecond, true},
		"not quite, but the old one is older": {10 * time.Second, 0, 3 * time.Millisecond, true},
		"a slow moment":                       {10 * time.Second, 20 * time.Millisecond, 40 * time.Millisecond, false},
		"a slow moment long after":            {time.Hour, 20 * time.Millisecond, 40 * time.Millisecond, true},
		"the database's clock was set back":   {10 * time.Second, -time.Minute, 40 * time.Millisecond, true},
		"the database's clock was set on":     {10 * time.Second, time.Minute, 40 * time.Millisecond, true},
	} {
		newer := reading{here: began.Add(c.after), there: began.Add(c.after + c.off), within: c.within}
		want := exact
		if c.goes {
			want = newer
		}
		require.Equal(t, want, exact.later(newer), name)
	}
}
