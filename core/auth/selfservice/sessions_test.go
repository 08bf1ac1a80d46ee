package selfservice_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/selfservice"
	"phonebill/core/fault"
	"phonebill/core/id"
)

var (
	caller = auth.Principal{UserID: "hong", SessionID: id.ID{1}}
)

type brokenHistory struct {
	memory.LoginHistory
	broken error
}

func (h *brokenHistory) Append(ctx context.Context, e auth.LoginEvent) error {
	if err := errors.Join(h.broken, ctx.Err()); err != nil {
		return err
	}
	return h.LoginHistory.Append(ctx, e)
}

type brokenSessions struct{ memory.Sessions }

func (*brokenSessions) Change(context.Context, id.ID, func(auth.Session) auth.Session) (auth.Session, error) {
	return auth.Session{}, errBackend
}

func (*brokenSessions) EndAll(context.Context, auth.UserID, id.ID, time.Time) ([]auth.Revocation, error) {
	return nil, errBackend
}

type sessionsWorld struct {
	selfservice.Sessions
	store   memory.Sessions
	history brokenHistory
	push    memory.RevocationPush
	now     time.Time
}

// newSessionsWorld has sessions 1, 2, 3 of hong and 9 of kim, one second apart.
func newSessionsWorld(t *testing.T) *sessionsWorld {
	t.Helper()
	w := &sessionsWorld{now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	w.Sessions = selfservice.Sessions{
		Sessions: &w.store, History: &w.history, Push: &w.push, Policy: auth.DefaultSessions(),
		Now:   func() time.Time { return w.now },
		NewID: func() id.ID { return id.ID{15: 1} },
	}
	for sid, user := range map[byte]auth.UserID{1: "hong", 2: "hong", 3: "hong", 9: "kim"} {
		s := w.Policy.NewSession(id.ID{sid}, user, false, client, w.now.Add(time.Duration(sid)*time.Second))
		_, err := w.store.Create(t.Context(), s, w.Policy)
		require.NoError(t, err)
	}
	w.now = w.now.Add(time.Minute)
	return w
}

func (w *sessionsWorld) listed(t *testing.T) []id.ID {
	t.Helper()
	list, err := w.List(t.Context(), "hong")
	require.NoError(t, err)
	var out []id.ID
	for _, s := range list {
		out = append(out, s.ID)
	}
	return out
}

func TestEndOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sid   id.ID
		after time.Duration
		why   auth.LoginEventType // empty = NOT_FOUND
	}{
		"another device": {id.ID{2}, 0, auth.EventSessionEnded},
		"this device":    {id.ID{1}, 0, auth.EventLogout},
		"another user's": {id.ID{9}, 0, ""},
		"unknown":        {id.ID{7}, 0, ""},
		"over":           {id.ID{2}, time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSessionsWorld(t)
			w.now = w.now.Add(c.after)
			gone, hangUp := context.WithCancel(t.Context())
			hangUp()
			err := w.End(gone, caller, c.sid, client)
			if c.why == "" {
				require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
				require.Empty(t, w.push.Pushed())
				require.Empty(t, w.history.Events())
				return
			}
			require.NoError(t, err)
			reason := auth.EndReason("") // revoked
			if c.sid == caller.SessionID {
				reason = auth.EndedByLogout
			}
			require.Equal(t, []auth.Revocation{{SessionID: c.sid, At: w.now, Why: reason}}, w.push.Pushed())
			require.Equal(t, []auth.LoginEvent{{
				ID: id.ID{15: 1}, UserID: "hong", Known: true, Type: c.why, Success: true, Client: client, At: w.now,
			}}, w.history.Events())
			require.NotContains(t, w.listed(t), c.sid)
			require.ErrorIs(t, w.End(t.Context(), caller, c.sid, client), fault.New(fault.ResourceNotFound), "it ends once")
		})
	}
}

func TestEndOthers(t *testing.T) {
	t.Parallel()
	w := newSessionsWorld(t)
	require.Equal(t, []id.ID{{3}, {2}, {1}}, w.listed(t), "newest first")
	n, err := w.EndOthers(t.Context(), caller, client)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, []id.ID{{1}}, w.listed(t))
	require.Len(t, w.push.Pushed(), 2)
	require.Len(t, w.history.Events(), 1)
	n, err = w.EndOthers(t.Context(), caller, client)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Len(t, w.history.Events(), 1, "nothing happened")
	other, err := w.List(t.Context(), "kim")
	require.NoError(t, err)
	require.Len(t, other, 1)
}

func TestFailuresAreReturned(t *testing.T) {
	t.Parallel()
	w := newSessionsWorld(t)
	w.history.broken = errBackend
	require.ErrorIs(t, w.End(t.Context(), caller, id.ID{2}, client), errBackend)
	require.Len(t, w.push.Pushed(), 1, "it has ended all the same")
	w.Sessions.Sessions = &brokenSessions{}
	require.ErrorIs(t, w.End(t.Context(), caller, id.ID{3}, client), errBackend)
	_, err := w.EndOthers(t.Context(), caller, client)
	require.ErrorIs(t, err, errBackend)
}
