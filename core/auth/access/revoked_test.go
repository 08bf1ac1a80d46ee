package access_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/fault"
	"phonebill/core/id"
)

const keep = 30 * time.Minute

func ended(sid id.ID, at time.Time) auth.Feed {
	return auth.Feed{AsOf: at, Revocations: []auth.Revocation{{SessionID: sid, At: at}}}
}

func of(sid id.ID) auth.Principal { return auth.Principal{SessionID: sid, UserID: "hong"} }

func TestRevokedUsesTheFeedsClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	f := &feed{broken: errBackend}
	r := access.NewRevoked(f, nil, func() time.Time { return now }, keep)
	require.ErrorIs(t, r.Pull(t.Context()), errBackend)
	require.False(t, r.Ready(), "not complete before the first pull that succeeds")
	f.broken, f.feed = nil, ended(sid, dbNoon)
	now = now.Add(time.Second)
	require.Equal(t, time.Second, r.Age())
	require.NoError(t, r.Pull(t.Context()))
	require.True(t, r.Ready())
	require.Zero(t, r.Age())
	require.Equal(t, 1, r.Size())
	require.True(t, r.Has(of(sid)))
	require.False(t, r.Has(of(id.ID{2})))
	f.broken = errBackend
	require.Error(t, r.Pull(t.Context()))
	require.True(t, r.Has(of(sid)), "trouble forgets nothing")
	require.Equal(t, []time.Time{{}, {}, dbNoon.Add(-5 * time.Second)}, f.since,
		"everything, then from the last good answer")
	require.Equal(t, dbNoon, r.AsOf())

	f.broken, now = nil, now.Add(24*time.Hour) // our clock leaps; the feed's does not
	f.feed = auth.Feed{AsOf: dbNoon.Add(keep + 5*time.Second)}
	require.NoError(t, r.Pull(t.Context()))
	require.True(t, r.Has(of(sid)), "a token may still be about it")
	f.feed.AsOf = f.feed.AsOf.Add(1)
	require.NoError(t, r.Pull(t.Context()))
	require.False(t, r.Has(of(sid)))
	require.Zero(t, r.Size())
}

func TestAnEpochKillsOlderTokensOnly(t *testing.T) {
	t.Parallel()
	f := &feed{}
	r := access.NewRevoked(f, nil, time.Now, keep)
	epoch := func(n int) bool { return r.Has(auth.Principal{UserID: "hong", SessionID: sid, Epoch: n}) }
	f.feed = auth.Feed{AsOf: dbNoon, Revocations: []auth.Revocation{
		{UserID: "hong", Epoch: 3, At: dbNoon}, {UserID: "hong", Epoch: 2, At: dbNoon.Add(time.Second)},
	}}
	require.NoError(t, r.Pull(t.Context()))
	require.True(t, epoch(2))
	require.False(t, epoch(3), "an epoch never goes back")
	require.False(t, r.Has(auth.Principal{UserID: "kim", SessionID: sid}))
	r.Push(t.Context(), auth.Revocation{UserID: "hong", Epoch: 5})
	require.True(t, epoch(4))
	f.feed = auth.Feed{AsOf: dbNoon.Add(keep + 5*time.Second + 1)}
	require.NoError(t, r.Pull(t.Context()))
	require.True(t, epoch(4), "it counts from its last raise")
	f.feed.AsOf = dbNoon.Add(keep + 7*time.Second)
	require.NoError(t, r.Pull(t.Context()))
	require.False(t, epoch(0), "no token of it can live")
}

func TestAPushOutlivesAPullWithoutIt(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"before the first pull": false, "between two": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &feed{feed: auth.Feed{AsOf: dbNoon}}
			r := access.NewRevoked(f, nil, time.Now, keep)
			if first {
				require.NoError(t, r.Pull(t.Context()))
			}
			r.Push(t.Context(), auth.Revocation{SessionID: sid, At: time.Now().AddDate(100, 0, 0)},
				auth.Revocation{UserID: "hong", Epoch: 1})
			require.True(t, r.Has(of(sid)))
			f.feed.AsOf = dbNoon.Add(time.Second)
			require.NoError(t, r.Pull(t.Context()))
			require.True(t, r.Has(of(sid)))
			require.True(t, r.Has(of(id.ID{9})), "by epoch")
			f.feed.AsOf = dbNoon.Add(time.Hour)
			require.NoError(t, r.Pull(t.Context()))
			require.Zero(t, r.Size(), "whatever time the sender stated")
		})
	}
}

func TestTheValidKeysArePassedOn(t *testing.T) {
	t.Parallel()
	f, keys := &feed{feed: ended(sid, dbNoon)}, &accepted{broken: errBackend}
	r := access.NewRevoked(f, keys, time.Now, keep)
	require.NoError(t, r.Pull(t.Context()))
	require.Empty(t, keys.kids, "a feed without keys refuses no key")
	f.feed.KeyIDs = []string{"b", "a"}
	require.ErrorIs(t, r.Pull(t.Context()), errBackend)
	require.Equal(t, [][]string{{"b", "a"}}, keys.kids)
	require.True(t, r.Has(of(sid)), "trouble with the keys loses no revocation")
}

func TestPushPullAndAskAtOnce(t *testing.T) {
	t.Parallel()
	f := &steady{}
	r := access.NewRevoked(f, nil, time.Now, keep)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 200 {
				r.Push(t.Context(), auth.Revocation{SessionID: id.ID{byte(n), byte(i)}})
				_ = r.Has(of(id.ID{byte(n), byte(i)}))
				if i%20 == 0 && r.Pull(t.Context()) != nil {
					t.Error("pull failed")
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, 800, r.Size())
}

// steady is a feed that may be asked from many goroutines.
type steady struct{}

func (steady) Since(context.Context, time.Time) (auth.Feed, error) {
	return auth.Feed{AsOf: dbNoon}, nil
}

// TestTheReasonIsKept: by whichever way it is heard first, and it is not forgotten when another way does not know it.
func TestTheReasonIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refused := func() string {
		t.Helper()
		_, err := w.Admit(t.Context(), w.token, "")
		require.ErrorIs(t, err, fault.New(fault.TokenRevoked))
		return fault.From(err).Details()["reason"]
	}
	w.Revoked.Push(t.Context(), auth.Revocation{UserID: "hong", Epoch: 4})
	require.Equal(t, "RIGHTS_CHANGED", refused())
	w.Revoked.Push(t.Context(), auth.Revocation{SessionID: sid})
	require.Equal(t, "REVOKED", refused(), "by the previous release")
	w.feed.feed.Revocations = []auth.Revocation{{SessionID: sid, At: dbNoon, Why: auth.EndedByNewerDevice}}
	require.NoError(t, w.Revoked.Pull(t.Context()))
	require.Equal(t, "NEWER_DEVICE", refused())
	w.Revoked.Push(t.Context(), auth.Revocation{SessionID: sid})
	require.Equal(t, "NEWER_DEVICE", refused())

	w = newWorld(t)
	w.now = w.now.Add(29*time.Minute + 59*time.Second)
	_, err := w.sessions.Change(t.Context(), sid,
		func(s auth.Session) auth.Session { s.LastSeenAt = w.now.Add(-time.Hour); return s })
	require.NoError(t, err)
	require.Equal(t, "IDLE", refused())
	_, err = w.sessions.Change(t.Context(), sid, func(s auth.Session) auth.Session { s.ExpiresAt = w.now; return s })
	require.NoError(t, err)
	require.Equal(t, "EXPIRED", refused())
}
