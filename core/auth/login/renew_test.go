package login_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/auth/login"
	"phonebill/core/fault"
	"phonebill/core/throttle"
)

// TestReuseIsRecordedWhenTheClientHangsUp presents a spent token and closes the connection: the reuse is recorded and
// spread all the same.
func TestReuseIsRecordedWhenTheClientHangsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	_, err = w.Renew(t.Context(), got.Refresh, client)
	require.NoError(t, err)
	w.now = w.now.Add(w.Policy.RefreshGrace)
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	_, err = w.Renew(gone, got.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenReused))
	require.Equal(t, auth.EventRefreshReused, w.lastEvent(t).Type)
	require.Equal(t, []auth.Revocation{{SessionID: got.Principal.SessionID, At: w.now}}, w.ended.Pushed())
}

// TestARefreshGivesTheCurrentRights: status and rights are read at each refresh, not at the login alone.
func TestARefreshGivesTheCurrentRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	change := func(f func(*auth.User)) {
		t.Helper()
		_, err := w.users.Change(t.Context(), "hong", func(u auth.User) (auth.User, error) { f(&u); return u, nil })
		require.NoError(t, err)
	}
	change(func(u *auth.User) {
		u.Grants = []auth.Grant{{Permission: auth.ProductChange, ExpiresAt: w.now.Add(time.Minute)}}
	})
	renewed, err := w.Renew(t.Context(), got.Refresh, client)
	require.NoError(t, err)
	require.Equal(t, []auth.Permission{auth.ProductChange}, renewed.Principal.Permissions)
	require.Equal(t, 1, renewed.Principal.Epoch, "the new token outlives the epoch that killed the old one")
	require.Equal(t, time.Minute, renewed.ExpiresIn, "no token outlives what it grants")
	for _, status := range []auth.Status{auth.Suspended, auth.Inactive} {
		change(func(u *auth.User) { u.Status = status })
		_, err = w.Renew(t.Context(), renewed.Refresh, client)
		require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid), status)
	}
}

// TestNoTokenOutlivesAnIdleSession: services that do not see the sessions refuse it in time.
func TestNoTokenOutlivesAnIdleSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Policy.Idle = 5 * time.Minute
	tokens, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	require.Equal(t, 5*time.Minute, tokens.ExpiresIn)
}

// TestATokenWithinItsGraceIsNoReuse: a client that lost two responses gets the newest pair, whose refresh token is
// valid.
func TestATokenWithinItsGraceIsNoReuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	second, err := w.Renew(t.Context(), first.Refresh, client)
	require.NoError(t, err)
	third, err := w.Renew(t.Context(), second.Refresh, client)
	require.NoError(t, err)
	again, err := w.Renew(t.Context(), first.Refresh, client)
	require.NoError(t, err)
	require.Equal(t, third.Refresh, again.Refresh)
	w.now = w.now.Add(w.Policy.RefreshGrace)
	_, err = w.Renew(t.Context(), again.Refresh, client)
	require.NoError(t, err)
	_, err = w.Renew(t.Context(), first.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenReused), "after the grace it is")
}

// TestDeadTokensUseUpNoSharedLimit: neither those of a session that is over nor spent ones within their
// grace keep another customer behind the address from refreshing. One session has a limit of its own.
func TestDeadTokensUseUpNoSharedLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rate = throttle.Rate{PerMinute: 60, Burst: 4}
	var logins []login.Tokens
	for range 3 {
		tokens, err := w.try(t, "hong", "right-password")
		require.NoError(t, err)
		logins = append(logins, tokens)
	}
	dead, spent, honest := logins[0], logins[1], logins[2]
	require.NoError(t, w.Logout(t.Context(), dead.Principal.SessionID, client))
	_, err := w.Renew(t.Context(), spent.Refresh, client)
	require.NoError(t, err)
	for range throttle.Session().Burst {
		_, err = w.Renew(t.Context(), dead.Refresh, client)
		require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid))
	}
	_, err = w.Renew(t.Context(), dead.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
	require.Equal(t, time.Second, fault.From(err).RetryAfter())
	for range 20 {
		_, err = w.Renew(t.Context(), spent.Refresh, client)
		require.NoError(t, err)
	}
	for range 3 {
		honest, err = w.Renew(t.Context(), honest.Refresh, client)
		require.NoError(t, err)
	}
	_, err = w.Renew(t.Context(), honest.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded), "four were exchanged")
}
