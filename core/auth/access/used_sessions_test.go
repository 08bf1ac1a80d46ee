package access_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/id"
)

// use stores the sessions of each call, or fails.
type use struct {
	calls [][]id.ID
	err   error
}

func (u *use) Used(_ context.Context, sids []id.ID) error {
	if u.err == nil {
		u.calls = append(u.calls, sids)
	}
	return u.err
}

func TestASessionIsReportedOnceAMinute(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	to := &use{}
	s := access.NewUsedSessions(to, func() time.Time { return now })
	require.NoError(t, s.Flush(t.Context()))
	require.Empty(t, to.calls, "nothing to report")
	for range 3 {
		s.Note(sid)
		require.NoError(t, s.Flush(t.Context()))
		now = now.Add(20 * time.Second)
	}
	require.Equal(t, [][]id.ID{{sid}}, to.calls)

	to.err = errBackend
	s.Note(sid)
	require.ErrorIs(t, s.Flush(t.Context()), errBackend)
	to.err = nil
	require.NoError(t, s.Flush(t.Context()))
	require.Len(t, to.calls, 2, "what could not be reported is reported the next time")
}

func TestAnAdmittedRequestIsReportedAsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := &use{}
	w.Live, w.UsedSessions = nil, access.NewUsedSessions(to, func() time.Time { return w.now })
	_, err := w.Admit(t.Context(), w.token, "")
	require.NoError(t, err)
	_, err = w.Admit(t.Context(), "nonsense", "")
	require.Error(t, err)
	require.NoError(t, w.UsedSessions.Flush(t.Context()))
	require.Equal(t, [][]id.ID{{sid}}, to.calls)
}

func TestUsedKeepsSessionsLiveAndRevivesNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = w.now.Add(20 * time.Minute)
	require.NoError(t, w.Live.Used(t.Context(), []id.ID{sid, {9}}), "an unknown session is no error")
	s, err := w.sessions.Get(t.Context(), sid)
	require.NoError(t, err)
	require.Equal(t, w.now, s.LastSeenAt)
	w.now = w.now.Add(31 * time.Minute)
	require.NoError(t, w.Live.Used(t.Context(), []id.ID{sid}))
	s, err = w.sessions.Get(t.Context(), sid)
	require.NoError(t, err)
	require.False(t, auth.DefaultSessions().Live(s, w.now), "an idle session stays idle")
	w.sessions.broken = errBackend
	require.ErrorIs(t, w.Live.Used(t.Context(), []id.ID{sid}), errBackend)
}
