package lifecycle_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/request/lifecycle"
)

func TestACallerIsAnsweredBeforeItsTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const budget = 2700 * time.Millisecond
		require.Equal(t, budget, lifecycle.TimeLeft(t.Context(), budget, time.Now()), "no end")
		for within, want := range map[time.Duration]time.Duration{
			2850 * time.Millisecond: budget, time.Minute: budget, time.Second: 850 * time.Millisecond,
			100 * time.Millisecond: -50 * time.Millisecond,
		} {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			require.Equal(t, want, lifecycle.TimeLeft(ctx, budget, time.Now()))
			cancel()
		}
	})
}
