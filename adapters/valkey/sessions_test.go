package valkey_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/ports"
)

// TestEveryWayOfEndingLeavesNoLiveCopy lets another instance end a session while this one is between reading the store
// and caching the session, in every way a session can end.
func TestEveryWayOfEndingLeavesNoLiveCopy(t *testing.T) {
	t.Parallel()
	policy := auth.DefaultSessions()
	policy.Devices = 1
	sid, second := id.ID{15: 1}, id.ID{15: 2}
	for name, end := range map[string]func(ctx context.Context, s ports.Sessions) error{
		"logged out": func(ctx context.Context, s ports.Sessions) error {
			_, err := s.Change(ctx, sid, func(s auth.Session) auth.Session { return s.Revoke(start.Add(time.Second)) })
			return err
		},
		"all ended": func(ctx context.Context, s ports.Sessions) error {
			_, err := s.EndAll(ctx, "hong1234", id.ID{}, start.Add(time.Second))
			return err
		},
		"one device too many": func(ctx context.Context, s ports.Sessions) error {
			_, err := s.Create(ctx, policy.NewSession(second, "hong1234", false, auth.Client{}, start.Add(time.Second)), policy)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			stored := &memory.Sessions{}
			slow := &slowSessions{Sessions: stored}
			here := valkey.NewCachedSessions(c.Client, slow, c.vault, c.log)
			there := valkey.NewCachedSessions(c.another(t), stored, c.vault, c.log)
			_, err := here.Create(t.Context(), policy.NewSession(sid, "hong1234", false, auth.Client{}, start), policy)
			require.NoError(t, err)
			slow.meanwhile = func() { require.NoError(t, end(t.Context(), there)) }
			_, err = here.Get(t.Context(), sid)
			require.NoError(t, err)
			for range 2 {
				s, err := here.Get(t.Context(), sid)
				require.NoError(t, err)
				require.False(t, policy.Live(s, start.Add(time.Second)), "a live copy was left behind")
			}
		})
	}
}

// TestASessionThatEndedStaysEndedUnderLoad reads and touches on two instances while one ends it: after that no call
// finds it alive.
func TestASessionThatEndedStaysEndedUnderLoad(t *testing.T) {
	t.Parallel()
	c := open(t)
	stored, policy, sid := &memory.Sessions{}, auth.DefaultSessions(), id.ID{15: 1}
	instances := []ports.Sessions{
		valkey.NewCachedSessions(c.Client, stored, c.vault, c.log),
		valkey.NewCachedSessions(c.another(t), stored, c.vault, c.log),
	}
	_, err := instances[0].Create(t.Context(), policy.NewSession(sid, "hong1234", true, auth.Client{}, start), policy)
	require.NoError(t, err)
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() {
			s := instances[n%2]
			for i := range 60 {
				at := start.Add(time.Duration(i) * time.Second)
				_, err := s.Change(t.Context(), sid, func(s auth.Session) auth.Session { return policy.Touch(s, at) })
				if _, err2 := s.Get(t.Context(), sid); err != nil || err2 != nil {
					t.Errorf("unexpected error: %v, %v", err, err2)
				}
			}
		})
	}
	_, err = instances[0].EndAll(t.Context(), "hong1234", id.ID{}, start.Add(time.Second))
	require.NoError(t, err)
	for range 50 {
		for _, s := range instances {
			got, err := s.Get(t.Context(), sid)
			require.NoError(t, err)
			require.False(t, got.RevokedAt.IsZero())
		}
	}
	all.Wait()
	for _, s := range instances {
		got, err := s.Get(t.Context(), sid)
		require.NoError(t, err)
		require.False(t, got.RevokedAt.IsZero())
	}
}
