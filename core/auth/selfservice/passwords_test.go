package selfservice_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/selfservice"
	"phonebill/core/auth/verify"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
)

var (
	now = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
)

func newID() id.ID { return id.ID(uuid.Must(uuid.NewV7())) }

// hasher fails on demand.
type hasher struct {
	memory.Hasher
	matching, hashing error
}

func (h *hasher) Hash(ctx context.Context, p personal.Secret) (personal.Secret, error) {
	if h.hashing != nil {
		return personal.Secret{}, h.hashing
	}
	return h.Hasher.Hash(ctx, p)
}

func (h *hasher) Matches(ctx context.Context, hash, p personal.Secret) (ok, stale bool, err error) {
	if h.matching != nil {
		return false, false, h.matching
	}
	return h.Hasher.Matches(ctx, hash, p)
}

type passwordWorld struct {
	*selfservice.Passwords
	users    memory.Users
	sessions memory.Sessions
	history  memory.LoginHistory
	guesses  memory.Guesses
	pushed   memory.RevocationPush
	hasher   hasher
	factors  memory.SecondFactors
	codes    memory.OneTimeCodes
	own      id.ID
	others   []id.ID
}

func newPasswordWorld(t *testing.T) *passwordWorld {
	t.Helper()
	w := &passwordWorld{own: newID()}
	clock := func() time.Time { return now }
	w.Passwords = &selfservice.Passwords{
		Users: &w.users, Guesses: &verify.Limiter{Guesses: &w.guesses, Now: clock},
		Credentials: memory.Credentials{Hasher: &w.hasher}, Hasher: &w.hasher, Turns: verify.NewHashQueue(1),
		Devices: memory.Devices{}, Sessions: &w.sessions, Push: &w.pushed, History: &w.history,
		Factors: &w.factors, Codes: &w.codes, Now: clock, NewID: newID,
	}
	w.factors.Users = &w.users
	require.NoError(t, w.users.Create(t.Context(), auth.User{
		UserID: "hong1234", PasswordHash: personal.NewSecret("$old-secret"), Status: auth.Active,
	}))
	for n := range 3 {
		sid := w.own
		if n > 0 {
			sid = newID()
			w.others = append(w.others, sid)
		}
		policy := auth.DefaultSessions()
		_, err := w.sessions.Create(t.Context(), policy.NewSession(sid, "hong1234", false, auth.Client{}, now), policy)
		require.NoError(t, err)
	}
	return w
}

func (w *passwordWorld) change(t *testing.T, current, next string) error {
	t.Helper()
	_, err := w.Change(t.Context(), selfservice.PasswordRequest{
		UserID: "hong1234", Session: w.own, Current: personal.NewSecret(current), New: personal.NewSecret(next), From: client,
	})
	return err
}

func (w *passwordWorld) last(t *testing.T) auth.LoginEvent {
	t.Helper()
	events := w.history.Events()
	require.NotEmpty(t, events)
	e := events[len(events)-1]
	require.Equal(t, client, e.Client)
	return e
}

func (w *passwordWorld) stored(t *testing.T) string {
	t.Helper()
	u, err := w.users.ByID(t.Context(), "hong1234")
	require.NoError(t, err)
	return u.PasswordHash.Reveal()
}

func TestAChangeEndsTheOtherSessionsAtOnce(t *testing.T) {
	t.Parallel()
	w := newPasswordWorld(t)
	require.NoError(t, w.change(t, "old-secret", "brand-new-secret"))
	require.Equal(t, "$brand-new-secret", w.stored(t))
	live, err := w.sessions.Live(t.Context(), "hong1234", auth.DefaultSessions(), now)
	require.NoError(t, err)
	require.Len(t, live, 1)
	require.Equal(t, w.own, live[0].ID)
	var dead []id.ID
	for _, r := range w.pushed.Pushed() {
		dead = append(dead, r.SessionID)
	}
	require.ElementsMatch(t, w.others, dead)
	e := w.last(t)
	require.Equal(t, auth.EventPasswordChanged, e.Type)
	require.True(t, e.Success)
}

func TestRefusalsBeforeAnyGuess(t *testing.T) {
	t.Parallel()
	w := newPasswordWorld(t)
	for _, next := range []string{"short", "password", "my-hong1234-key", "old-secret"} {
		err := w.change(t, "old-secret", next)
		require.ErrorIs(t, err, fault.New(fault.ValidationError), next)
		require.Equal(t, "newPassword", fault.From(err).Fields()[0].Name)
	}
	require.Empty(t, w.history.Events())
	require.Equal(t, "$old-secret", w.stored(t))
}

func TestAWrongCurrentPasswordIsAGuess(t *testing.T) {
	t.Parallel()
	w := newPasswordWorld(t)
	for range 4 {
		require.ErrorIs(t, w.change(t, "wrong-secret", "brand-new-secret"), fault.New(fault.WrongCredentials))
		require.Equal(t, "AUTH_001", w.last(t).Reason)
	}
	require.ErrorIs(t, w.change(t, "wrong-secret", "brand-new-secret"), fault.New(fault.LockedNow))
	require.Equal(t, auth.EventLocked, w.last(t).Type)
	require.ErrorIs(t, w.change(t, "old-secret", "brand-new-secret"), fault.New(fault.Locked))
	attempts, err := w.guesses.Peek(t.Context(), auth.Subject{UserID: "hong1234"})
	require.NoError(t, err)
	require.True(t, attempts.Locked(now), "the counter of login itself")
	require.Empty(t, w.pushed.Pushed())
	require.Equal(t, "$old-secret", w.stored(t))
}

func TestAKnownDeviceHasItsOwnCounter(t *testing.T) {
	t.Parallel()
	w := newPasswordWorld(t)
	for range 5 {
		_ = w.change(t, "wrong-secret", "brand-new-secret")
	}
	account, err := w.users.ByID(t.Context(), "hong1234")
	require.NoError(t, err)
	device := newID()
	cookie, err := w.Change(t.Context(), selfservice.PasswordRequest{
		UserID: "hong1234", Session: w.own, Current: personal.NewSecret("old-secret"),
		New: personal.NewSecret("brand-new-secret"), Devices: []personal.Secret{w.Devices.Mint(account, device).Value},
		From: client,
	})
	require.NoError(t, err)
	account, err = w.users.ByID(t.Context(), "hong1234")
	require.NoError(t, err)
	known, ok := w.Devices.Read(account, cookie.Value)
	require.True(t, ok, "the device stays known under the new password")
	require.Equal(t, device, known)
}

func TestTroubleChangesNothing(t *testing.T) {
	t.Parallel()
	w := newPasswordWorld(t)
	w.hasher.matching = errBackend
	require.ErrorIs(t, w.change(t, "old-secret", "brand-new-secret"), errBackend)
	w.hasher.matching, w.hasher.hashing = nil, errBackend
	require.ErrorIs(t, w.change(t, "old-secret", "brand-new-secret"), errBackend)
	require.Equal(t, "$old-secret", w.stored(t))
	require.Empty(t, w.pushed.Pushed())
	require.Equal(t, "INTERNAL_SERVER_ERROR", w.last(t).Reason)
	w.hasher.hashing = nil
	_, err := w.users.Change(t.Context(), "hong1234",
		func(u auth.User) (auth.User, error) {
			u.Status = auth.Suspended
			return u, nil
		})
	require.NoError(t, err)
	require.ErrorIs(t, w.change(t, "old-secret", "brand-new-secret"), fault.New(fault.PermissionDenied))
	_, err = w.Change(t.Context(), selfservice.PasswordRequest{
		UserID: "unknown-1", Current: personal.NewSecret("old-secret"), New: personal.NewSecret("brand-new-secret"),
		From: client,
	})
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
	for range 5 {
		_, err := w.guesses.Take(t.Context(), auth.Subject{UserID: "hong1234"}, now)
		require.NoError(t, err)
	}
	rows := len(w.history.Events())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = w.Change(ctx, selfservice.PasswordRequest{
		UserID: "hong1234", Current: personal.NewSecret("old-secret"), New: personal.NewSecret("brand-new-secret"),
		From: client,
	})
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
	require.Len(t, w.history.Events(), rows)
}

func TestReauthenticate(t *testing.T) {
	t.Parallel()
	w := newPasswordWorld(t)
	again := func(typed string) error {
		return w.Reauthenticate(t.Context(), selfservice.PasswordRequest{UserID: "hong1234",
			Current: personal.NewSecret(typed), From: client})
	}
	for range 4 {
		require.ErrorIs(t, again("wrong-secret"), fault.New(fault.WrongCredentials))
		require.Equal(t, auth.EventReauthentication, w.last(t).Type)
		require.Equal(t, "AUTH_001", w.last(t).Reason)
	}
	require.NoError(t, again("old-secret"))
	require.Len(t, w.history.Events(), 4, "only refusals are recorded")
	for range 4 {
		require.ErrorIs(t, again("wrong-secret"), fault.New(fault.WrongCredentials), "success has reset the counter")
	}
	require.ErrorIs(t, again("wrong-secret"), fault.New(fault.LockedNow))
	require.Equal(t, auth.EventLocked, w.last(t).Type)
	require.ErrorIs(t, again("old-secret"), fault.New(fault.Locked))
	require.ErrorIs(t, w.change(t, "old-secret", "a new secret of mine"), fault.New(fault.Locked),
		"one counter for all of them")
}

// TestAnInitialPasswordIsChangedForGood: the tokens that say it is to be changed are out of date, so that the next
// refresh opens the account.
func TestAnInitialPasswordIsChangedForGood(t *testing.T) {
	t.Parallel()
	w := newPasswordWorld(t)
	_, err := w.users.Change(t.Context(), "hong1234",
		func(u auth.User) (auth.User, error) {
			u.InitialPassword = true
			return u, nil
		})
	require.NoError(t, err)
	require.NoError(t, w.change(t, "old-secret", "brand-new-secret"))
	u, err := w.users.ByID(t.Context(), "hong1234")
	require.NoError(t, err)
	require.False(t, u.InitialPassword)
	require.Contains(t, w.pushed.Pushed(), auth.Revocation{UserID: "hong1234", Epoch: u.Epoch, At: now})
	before := len(w.pushed.Pushed())
	require.NoError(t, w.change(t, "brand-new-secret", "another-new-secret"))
	require.Len(t, w.pushed.Pushed(), before, "a second change raises no epoch")
}

// enrol gives the account a second factor.
func (w *passwordWorld) enrol(t *testing.T) {
	t.Helper()
	secret := personal.NewSecret("S")
	require.NoError(t, w.factors.Begin(t.Context(), "hong1234", auth.TOTP{Secret: secret, CreatedAt: now}))
	require.NoError(t, w.factors.Confirm(t.Context(), "hong1234", auth.TOTP{Secret: secret, ConfirmedAt: now}, nil))
}

// TestACodeIsAskedForOnceASecondFactorIsEnrolled: also of a session that began before. The password alone changes
// nothing.
func TestACodeIsAskedForOnceASecondFactorIsEnrolled(t *testing.T) {
	t.Parallel()
	w := newPasswordWorld(t)
	w.enrol(t)
	r := selfservice.PasswordRequest{
		UserID: "hong1234", Session: w.own, Current: personal.NewSecret("old-secret"),
		New: personal.NewSecret("brand-new-secret"), From: client,
	}
	for code, reason := range map[string]string{"": "입력해주세요", "000000": "올바르지 않거나"} {
		r.Code = personal.NewSecret(code)
		_, err := w.Change(t.Context(), r)
		for _, err := range []error{err, w.Reauthenticate(t.Context(), r)} {
			f := fault.From(err)
			require.Equal(t, []any{fault.ReauthenticationFailed, "AUTH_004"}, []any{f.Code(), f.Details()["reason"]})
			require.Equal(t, "otp", f.Fields()[0].Name)
			require.Contains(t, f.Fields()[0].Reason, reason)
		}
	}
	require.Equal(t, "$old-secret", w.stored(t))
	attempts, err := w.guesses.Peek(t.Context(), auth.Subject{UserID: "hong1234"})
	require.NoError(t, err)
	require.Equal(t, 2, attempts.Failures, "a wrong code is a guess, a missing one is none")
	r.Code = w.codes.Code(now)
	_, err = w.Change(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "$brand-new-secret", w.stored(t))
	r.Current, r.New = r.New, personal.NewSecret("another-new-secret")
	_, err = w.Change(t.Context(), r)
	require.Equal(t, fault.ReauthenticationFailed, fault.From(err).Code(), "each code is accepted once")

	// The code of a factor that another person made proves nothing, and is not asked for.
	_, err = w.users.Change(t.Context(), "hong1234",
		func(u auth.User) (auth.User, error) {
			u.FactorHandedOver = true
			return u, nil
		})
	require.NoError(t, err)
	r.Code = personal.Secret{}
	_, err = w.Change(t.Context(), r)
	require.NoError(t, err)
}

// TestWithinASessionNothingIsUnauthorized: a 401 would make a client refresh and repeat by itself, until the owner is
// locked out.
func TestWithinASessionNothingIsUnauthorized(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]func(w *passwordWorld) error{
		"currentPassword": func(w *passwordWorld) error { return w.change(t, "wrong-secret", "brand-new-secret") },
		"password": func(w *passwordWorld) error {
			return w.Reauthenticate(t.Context(), selfservice.PasswordRequest{UserID: "hong1234",
				Current: personal.NewSecret("wrong-secret"), From: client})
		},
	} {
		w := newPasswordWorld(t)
		for _, want := range []string{"AUTH_001", "AUTH_001", "AUTH_001", "AUTH_001", "AUTH_002", "AUTH_003"} {
			f := fault.From(try(w))
			require.Equal(t, []any{fault.ReauthenticationFailed, fault.Unprocessable}, []any{f.Code(), f.Kind()}, name)
			require.Equal(t, want, f.Details()["reason"], name)
			require.Equal(t, fault.New(fault.Code(want)).Message(), f.Message(), name)
			require.Equal(t, want, w.last(t).Reason, "the history has the reason")
			if want == "AUTH_001" {
				require.Equal(t, name, f.Fields()[0].Name)
			}
		}
	}
}
