package portstest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports"
)

// RevocationFeed is the suite of ports.RevocationFeed over the stores that it reads, which are empty and know each
// other's accounts.
func RevocationFeed(
	t *testing.T, open func(t *testing.T) (ports.Users, ports.Sessions, ports.SigningKeys, ports.RevocationFeed),
) {
	t.Helper()
	ask := func(t *testing.T, feed ports.RevocationFeed, at time.Time) (auth.Feed, map[any]int) {
		t.Helper()
		received, err := feed.Since(t.Context(), at)
		require.NoError(t, err)
		epochs := map[any]int{} // of sessions -1
		for _, r := range received.Revocations {
			require.False(t, r.At.Before(at))
			if r.UserID != "" {
				require.True(t, r.SessionID.IsZero())
				epochs[r.UserID] = r.Epoch
				continue
			}
			epochs[r.SessionID] = -1
		}
		require.Len(t, epochs, len(received.Revocations), "each once")
		return received, epochs
	}
	t.Run("it lists ended sessions and changed rights, by its own clock", func(t *testing.T) {
		t.Parallel()
		users, sessions, _, feed := open(t)
		require.NoError(t, users.Create(t.Context(), Owner()))
		policy := auth.DefaultSessions()
		policy.Devices = 4
		for n := 1; n <= 4; n++ {
			begin(t, sessions, session(n))
		}
		none, received := ask(t, feed, time.Time{})
		require.Empty(t, received)
		require.False(t, none.AsOf.IsZero())

		// by a clock that is months off
		revoke := func(s auth.Session) auth.Session { return s.RevokeFor(auth.EndedByLogout, after(1)) }
		_, err := sessions.Change(t.Context(), numbered(1), revoke)
		require.NoError(t, err)
		first, received := ask(t, feed, none.AsOf)
		require.Equal(t, map[any]int{numbered(1): -1}, received)
		require.Equal(t, auth.EndedByLogout, first.Revocations[0].Why)
		require.False(t, first.AsOf.Before(none.AsOf))

		_, err = sessions.Create(t.Context(), policy.NewSession(numbered(6), Owner().UserID, false, auth.Client{}, after(2)),
			policy)
		require.NoError(t, err) // the cap is not reached: numbered(1) has ended
		_, err = sessions.Create(t.Context(), policy.NewSession(numbered(7), Owner().UserID, false, auth.Client{}, after(2)),
			policy)
		require.NoError(t, err)
		_, received = ask(t, feed, none.AsOf)
		require.Equal(t, map[any]int{numbered(1): -1, numbered(2): -1}, received, "the oldest ended")
		_, err = sessions.EndAll(t.Context(), Owner().UserID, numbered(4), after(3))
		require.NoError(t, err)
		for range 2 {
			_, err = users.Change(t.Context(), Owner().UserID,
				func(u auth.User) (auth.User, error) {
					u.CustomerID += "x"
					return u, nil
				})
			require.NoError(t, err)
		}
		_, err = users.Change(t.Context(), Owner().UserID, func(u auth.User) (auth.User, error) {
			u.Phone = Line(4)
			return u,
				nil
		})
		require.NoError(t, err)
		all := map[any]int{
			numbered(1): -1, numbered(2): -1, numbered(3): -1, numbered(6): -1, numbered(7): -1, Owner().UserID: 2,
		}
		_, received = ask(t, feed, none.AsOf)
		require.Equal(t, all, received)
		_, err = sessions.Change(t.Context(), numbered(1),
			func(s auth.Session) auth.Session { s.LastSeenAt = after(9); return s })
		require.NoError(t, err)
		last, received := ask(t, feed, time.Time{})
		require.Equal(t, all, received, "the zero time asks for everything")
		_, received = ask(t, feed, last.AsOf.Add(time.Hour))
		require.Empty(t, received)
	})
	t.Run("it names the signing keys that are good", func(t *testing.T) {
		t.Parallel()
		_, _, keys, feed := open(t)
		received, _ := ask(t, feed, time.Time{})
		require.Equal(t, []string{}, received.KeyIDs)
		begun := received.AsOf.Add(-time.Hour)
		require.NoError(t, keys.AddFirst(t.Context(), auth.SigningKey{KeyID: "old", CreatedAt: begun, ActiveAt: begun}))
		next := received.AsOf.Add(time.Hour)
		require.NoError(t, keys.AddNext(t.Context(), auth.SigningKey{KeyID: "next", CreatedAt: begun, ActiveAt: next}, "old"))
		received, _ = ask(t, feed, time.Time{})
		require.Equal(t, []string{"next", "old"}, received.KeyIDs)
		require.NoError(t, keys.Retire(t.Context(), "old", begun))
		received, _ = ask(t, feed, time.Time{})
		require.Equal(t, []string{"next"}, received.KeyIDs)
	})
}

// SigningKeys is the suite of ports.SigningKeys.
func SigningKeys(t *testing.T, open func(t *testing.T) ports.SigningKeys) {
	t.Helper()
	t.Run("of many first keys one wins and comes back whole", func(t *testing.T) {
		t.Parallel()
		keys := open(t)
		none, err := keys.List(t.Context())
		require.NoError(t, err)
		require.Empty(t, none)
		var all, ready sync.WaitGroup
		offered := make([]auth.SigningKey, 8)
		ready.Add(len(offered))
		for n := range offered {
			seed := personal.NewSecret(string([]byte{0, 0xff, byte(n)}))
			offered[n] = auth.SigningKey{KeyID: fmt.Sprint("key-", n), Seed: seed, CreatedAt: after(n), ActiveAt: after(n)}
			all.Go(func() {
				_, err := keys.List(t.Context()) // a connection for each, so that they truly meet
				noError(t, err)
				ready.Done()
				ready.Wait()
				noError(t, keys.AddFirst(t.Context(), offered[n]))
			})
		}
		all.Wait()
		held, err := keys.List(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		require.Contains(t, offered, held[0])
		require.NoError(t, keys.AddFirst(t.Context(), auth.SigningKey{KeyID: "late", CreatedAt: after(99),
			ActiveAt: after(99)}))
		again, err := keys.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, held, again)
	})
	t.Run("the next key is added once, after the newest", func(t *testing.T) {
		t.Parallel()
		keys := open(t)
		key := func(n int) auth.SigningKey {
			return auth.SigningKey{
				KeyID: fmt.Sprint("key-", n), Seed: personal.NewSecret(string([]byte{0, byte(n)})), CreatedAt: after(n),
				ActiveAt: after(10 * n),
			}
		}
		requireFault(t, fault.StateConflict, keys.AddNext(t.Context(), key(2), "key-1"))
		require.NoError(t, keys.AddFirst(t.Context(), key(1)))
		var won, lost atomic.Int64
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() {
				switch err := keys.AddNext(t.Context(), key(2+n), "key-1"); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, fault.New(fault.StateConflict)):
					lost.Add(1)
				default:
					t.Errorf("unexpected error: %v", err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, won.Load())
		require.EqualValues(t, 7, lost.Load())
		held, err := keys.List(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 2)
		require.Equal(t, key(1), held[1], "the one that begins last comes first")
		late := key(0) // begins before all others: it is stored and not the newest
		require.NoError(t, keys.AddNext(t.Context(), late, held[0].KeyID))
		held, err = keys.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, late, held[2])
	})
	t.Run("a key is retired from its first time", func(t *testing.T) {
		t.Parallel()
		keys := open(t)
		requireFault(t, fault.ResourceNotFound, keys.Retire(t.Context(), "key-1", after(1)))
		require.NoError(t, keys.AddFirst(t.Context(), auth.SigningKey{KeyID: "key-1", Seed: personal.NewSecret("s"),
			CreatedAt: start}))
		require.NoError(t, keys.Retire(t.Context(), "key-1", after(5)))
		require.NoError(t, keys.Retire(t.Context(), "key-1", after(9)))
		held, err := keys.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, []auth.SigningKey{{
			KeyID: "key-1", Seed: personal.NewSecret("s"), CreatedAt: start, ActiveAt: start, RetiredAt: after(5),
		}}, held)
	})
}
