package kos_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/adapters/memory"
	"phonebill/core/audit"
)

// moody is a call log whose database comes and goes.
type moody struct {
	memory.CallLog
	away  atomic.Bool
	tried atomic.Int64
}

func (m *moody) Append(ctx context.Context, c audit.Call) error {
	m.tried.Add(1)
	if m.away.Load() {
		return errors.New("no database")
	}
	return m.CallLog.Append(ctx, c)
}

func TestACallThatTheLogDoesNotTakeIsLoggedLater(t *testing.T) {
	t.Parallel()
	log := &moody{}
	l, _ := simulate(t, func(_ *kos.Config, d *kos.Deps) { d.Log = log })
	log.away.Store(true)
	for range 3 {
		_, f := l.ask(t.Context(), t, "01012345678")
		require.Nil(t, f)
	}
	require.EqualValues(t, 1, log.tried.Load(), "the others do not wait for a log that is in trouble")
	logged, err := l.WritePendingCalls(t.Context())
	require.Error(t, err)
	require.Zero(t, logged)
	require.EqualValues(t, 2, log.tried.Load(), "one of them is enough to know")

	log.away.Store(false)
	logged, err = l.WritePendingCalls(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, logged)
	require.Len(t, log.Calls(), 3)
	_, f := l.ask(t.Context(), t, "01012345678")
	require.Nil(t, f)
	require.Len(t, log.Calls(), 4, "at once again")
	require.Empty(t, l.raised())
	require.InDelta(t, 0, l.metric(t, "kos_calls_unlogged_total"), 0)
}

func TestACallThatTheLogNeverTakesIsLostAloud(t *testing.T) {
	t.Parallel()
	log := &moody{}
	log.away.Store(true)
	var later atomic.Int64
	l, _ := simulate(t, func(_ *kos.Config, d *kos.Deps) {
		now := d.Now
		d.Log, d.Now = log, func() time.Time { return now().Add(time.Duration(later.Load())) }
	})
	_, f := l.ask(t.Context(), t, "01012345678")
	require.Nil(t, f)
	later.Store(int64(61 * time.Minute))
	_, err := l.WritePendingCalls(t.Context())
	require.NoError(t, err, "nothing is left to try")
	require.Equal(t, []string{"kos_call_log_unwritten bill.inquiry"}, l.raised())
	require.InDelta(t, 1, l.metric(t, "kos_calls_unlogged_total"), 0)
	require.Contains(t, l.log.String(), "level=ERROR")
	log.tried.Store(0)
	_, err = l.WritePendingCalls(t.Context())
	require.NoError(t, err)
	require.Zero(t, log.tried.Load())
}
