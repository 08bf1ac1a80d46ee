package operations_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/operations"
)

func TestTheWorstCauseIsTheRung(t *testing.T) {
	t.Parallel()
	set := func(all ...operations.Rung) (c operations.Causes) {
		for _, r := range all {
			c = c.With(r)
		}
		return c
	}
	for text, c := range map[string]struct {
		causes operations.Causes
		rung   operations.Rung
	}{
		"":                        {set(), operations.Normal},
		"KOS_AWAY":                {set(operations.KOSAway, operations.Normal), operations.KOSAway},
		"CACHE_AWAY, KOS_AWAY":    {set(operations.KOSAway, operations.CacheAway), operations.CacheAway},
		"DATABASE_AWAY":           {set(operations.DatabaseAway, operations.DatabaseAway), operations.DatabaseAway},
		"MAINTENANCE, KOS_AWAY":   {set(operations.Maintained, operations.KOSAway), operations.Maintained},
		"DATABASE_AWAY, KOS_AWAY": {set(operations.KOSAway, operations.DatabaseAway), operations.DatabaseAway},
	} {
		require.Equal(t, c.rung, c.causes.Rung(), text)
		require.Equal(t, text, c.causes.String())
		require.Equal(t, c.causes, operations.ParseCauses(text))
	}
	require.Equal(t, set(operations.KOSAway), operations.ParseCauses(" KOS_AWAY ,NEBULA, NORMAL,UNKNOWN"),
		"what this release does not know is left out")
	require.Empty(t, operations.Causes(0).Names())
	require.Equal(t, "NORMAL", operations.Normal.String())
}

func TestADegradationKnowsSinceWhen(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_800_000_000, 0)
	var kos, both operations.Causes
	kos = kos.With(operations.KOSAway)
	both = kos.With(operations.CacheAway)
	d := operations.Degradation{}.Become(0, start)
	require.Equal(t, start, d.Since)
	d = d.Become(kos, start.Add(1))
	require.Equal(t, start.Add(1), d.Since)
	d = d.Become(kos, start.Add(2))
	require.Equal(t, start.Add(1), d.Since, "the same rung")
	d = d.Become(both, start.Add(3))
	require.Equal(t, operations.Degradation{Causes: both, Since: start.Add(3)}, d)
	d = d.Become(0, start.Add(4))
	require.Equal(t, operations.Degradation{Since: start.Add(4)}, d)
}

func TestOneFailedCheckIsNoOutage(t *testing.T) {
	t.Parallel()
	var o operations.Outage
	for n, c := range []struct{ failed, away bool }{
		{true, false}, {false, false}, {true, false}, {true, true}, {true, true}, {false, false}, {true, false},
	} {
		o = o.Checked(c.failed)
		require.Equal(t, c.away, o.Away(), n)
	}
}

func TestKOSIsAwayWhileABreakerIsNotClosed(t *testing.T) {
	t.Parallel()
	with := func(states ...operations.BreakerState) (all []operations.Breaker) {
		for _, s := range states {
			all = append(all, operations.Breaker{State: s})
		}
		return all
	}
	require.Equal(t, operations.Normal, operations.KOSCauses(with()).Rung())
	require.Equal(t, operations.Normal, operations.KOSCauses(with(operations.Closed, operations.Closed)).Rung())
	require.Equal(t, operations.KOSAway, operations.KOSCauses(with(operations.Closed, operations.Open)).Rung())
	require.Equal(t, operations.KOSAway, operations.KOSCauses(with(operations.HalfOpen, operations.Closed)).Rung())
}
