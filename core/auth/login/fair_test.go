package login_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/login"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/core/throttle"
)

func TestParallelRightPasswordsAllSucceed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Credentials = memory.Credentials{Hasher: &memory.Hasher{Version: "v2"}}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, err := w.Login(context.Background(), login.Request{UserID: "hong", Password: personal.NewSecret("right-password"),
				From: client})
			if err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
	all.Wait()
}

// from logs in with the device cookies at hand.
func (w *world) from(
	t *testing.T, user auth.UserID, password string, devices ...personal.Secret,
) (login.Tokens, error) {
	t.Helper()
	return w.Login(t.Context(), login.Request{UserID: user, Password: personal.NewSecret(password), Devices: devices,
		From: client})
}

// ADR 16: a device that has logged in before has its own counter, so a stranger cannot lock the owner out.
func TestAStrangerCannotLockOutAKnownDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, auth.User{UserID: "kim", PasswordHash: personal.NewSecret("v2$kims-password"), Status: auth.Active})
	first, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	kims, err := w.try(t, "kim", "kims-password")
	require.NoError(t, err)
	for range 5 {
		_, err = w.try(t, "hong", "wrong-password")
	}
	require.ErrorIs(t, err, fault.New(fault.LockedNow))
	_, err = w.try(t, "hong", "right-password")
	require.ErrorIs(t, err, fault.New(fault.Locked), "a new device has to wait")
	_, err = w.from(t, "hong", "right-password", kims.Device.Value, personal.NewSecret("forged"))
	require.ErrorIs(t, err, fault.New(fault.Locked), "another user's cookies do not help")
	again, err := w.from(t, "hong", "right-password", kims.Device.Value, first.Device.Value)
	require.NoError(t, err)
	require.Equal(t, first.Device, again.Device, "the device stays the one it was")
	for range 4 {
		_, err = w.from(t, "hong", "wrong-password", first.Device.Value)
		require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
	}
	_, err = w.from(t, "hong", "wrong-password", first.Device.Value)
	require.ErrorIs(t, err, fault.New(fault.LockedNow), "a stolen device is locked alone")
	require.NoError(t, w.guesses.Clear(t.Context(), "hong"))
	for _, cookies := range [][]personal.Secret{nil, {first.Device.Value}} {
		_, err = w.from(t, "hong", "right-password", cookies...)
		require.NoError(t, err, "an unlock clears both")
	}
}

func TestARightPasswordThatDoesNotLogInIsNoGuess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, auth.User{UserID: "kim", PasswordHash: personal.NewSecret("v2$right-password"), Status: auth.Suspended})
	for range 4 {
		_, err := w.try(t, "kim", "wrong-password")
		require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
	}
	for range 6 {
		_, err := w.try(t, "kim", "right-password")
		require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	}
	_, err := w.try(t, "kim", "wrong-password")
	require.ErrorIs(t, err, fault.New(fault.LockedNow), "it does not clear the others")
}

func TestTheThrottleComesBeforeTheGuess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rate = throttle.Rate{PerMinute: 60, Burst: 2}
	got, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	_, err = w.try(t, "hong", "wrong-password")
	require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
	rows := len(w.history.Events())
	for range 10 {
		_, err = w.try(t, "hong", "wrong-password")
		require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
		require.Equal(t, time.Second, fault.From(err).RetryAfter())
	}
	for range 10 {
		_, err = w.Renew(t.Context(), personal.NewSecret("never issued"), client)
		require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid), "junk uses nothing up")
	}
	newest := got.Refresh
	for range 2 {
		renewed, err := w.Renew(t.Context(), newest, client)
		require.NoError(t, err, "refreshes have a bucket of their own")
		newest = renewed.Refresh
	}
	_, err = w.Renew(t.Context(), newest, client)
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
	require.Len(t, w.history.Events(), rows)
	service, neighbour := client, client
	service.Service, neighbour.IP = "mvno-ap", "192.0.2.8"
	for _, from := range []auth.Client{service, neighbour} {
		_, err = w.Login(t.Context(), login.Request{UserID: "hong", Password: personal.NewSecret("right-password"),
			From: from})
		require.NoError(t, err)
	}
	require.Equal(t, neighbour, w.history.Events()[len(w.history.Events())-1].Client)
	attempts, err := w.guesses.Peek(t.Context(), auth.Subject{UserID: "hong"})
	require.NoError(t, err)
	require.Zero(t, attempts, "a 429 is no guess")
}

// TestAKnownDeviceIsNotThrottledWithItsAddress: strangers behind the same address cannot keep it out. Its account has a
// bucket for it.
func TestAKnownDeviceIsNotThrottledWithItsAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rate = throttle.Rate{PerMinute: 1, Burst: 1}
	first, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	_, err = w.try(t, "hong", "right-password")
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
	for range throttle.KnownDevices().Burst {
		_, err = w.from(t, "hong", "right-password", first.Device.Value)
		require.NoError(t, err)
	}
	_, err = w.from(t, "hong", "right-password", first.Device.Value)
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded), "what is too much counts as a stranger's")
	forged := memory.Devices{}.Mint(auth.User{UserID: "hong", PasswordHash: personal.NewSecret("guessed")}, w.NewID())
	_, err = w.from(t, "hong", "right-password", forged.Value)
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
}

// TestOtherUsersCookiesReadNothing: a flood with cookies of other users reads no account before it is throttled.
func TestOtherUsersCookiesReadNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rate = throttle.Rate{PerMinute: 1, Burst: 1}
	kims := memory.Devices{}.Mint(auth.User{UserID: "kim"}, w.NewID())
	_, err := w.from(t, "hong", "right-password", kims.Value)
	require.NoError(t, err)
	w.users.broken = errBackend
	_, err = w.from(t, "hong", "right-password", kims.Value)
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
}

// changing changes the account just when its session is being stored.
type changing struct {
	memory.Sessions
	change func()
}

func (c *changing) Create(ctx context.Context, s auth.Session, p auth.SessionPolicy) ([]auth.Revocation, error) {
	c.change()
	return c.Sessions.Create(ctx, s, p)
}

func TestAnAccountThatChangesMeanwhileKeepsNoSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sessions := &changing{change: func() {
		_, err := w.users.Change(t.Context(), "hong", func(u auth.User) (auth.User, error) {
			u.PasswordHash = personal.NewSecret("v2$new-password")
			return u, nil
		})
		require.NoError(t, err)
	}}
	w.Sessions = sessions
	_, err := w.try(t, "hong", "right-password")
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	require.Positive(t, fault.From(err).RetryAfter())
	live, err := sessions.Live(t.Context(), "hong", w.Policy, w.now)
	require.NoError(t, err)
	require.Empty(t, live)
	sessions.change = func() {}
	_, err = w.try(t, "hong", "new-password")
	require.NoError(t, err)
}

func TestATimedOutWaitIsNotRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 5 {
		_, err := w.guesses.Take(t.Context(), auth.Subject{UserID: "hong"}, w.now)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := w.Login(ctx, login.Request{UserID: "hong", Password: personal.NewSecret("right-password"), From: client})
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
	require.Empty(t, w.history.Events())
}

func TestAFailureIsReturnedEvenToALockedLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 5 {
		_, _ = w.try(t, "hong", "wrong-password")
	}
	w.users.broken = errBackend
	_, err := w.try(t, "hong", "right-password")
	require.ErrorIs(t, err, errBackend)
	w.users.broken = nil
	_, err = w.try(t, "hong", "right-password")
	require.ErrorIs(t, err, fault.New(fault.Locked))
	require.True(t, w.lastEvent(t).Known)
}

// TestAPasswordChangeVoidsDevices: a former password gives no way to go on guessing by old cookies.
func TestAPasswordChangeVoidsDevices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var cookies []personal.Secret
	for range 4 {
		tokens, err := w.try(t, "hong", "right-password")
		require.NoError(t, err)
		cookies = append(cookies, tokens.Device.Value)
	}
	_, err := w.users.Change(t.Context(), "hong", func(u auth.User) (auth.User, error) {
		u.PasswordHash = personal.NewSecret("v2$another-password")
		return u, nil
	})
	require.NoError(t, err)
	looked := w.hasher.matches
	for n := range 20 {
		_, err = w.Login(t.Context(), login.Request{
			UserID: "hong", Password: personal.NewSecret("wrong-password"), Devices: cookies[n%4 : n%4+1], From: client,
		})
		require.Error(t, err)
	}
	require.Equal(t, 5, w.hasher.matches-looked, "one counter for all of them")
}

// TestALoginThatCannotBeRecordedHasNoSession: its client will not hear of it.
func TestALoginThatCannotBeRecordedHasNoSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.history.broken = errBackend
	_, err := w.try(t, "hong", "right-password")
	require.ErrorIs(t, err, errBackend)
	live, err := w.sessions.Live(t.Context(), "hong", w.Policy, w.now)
	require.NoError(t, err)
	require.Empty(t, live)
}
