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
	"phonebill/core/auth/verify"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
)

var (
	client     = auth.Client{IP: "192.0.2.7", UserAgent: "phone"}
	right      = personal.NewSecret("right-password")
	errBackend = errors.New("backend is in trouble")
)

type factors struct {
	memory.SecondFactors
	broken error
}

func (f *factors) Get(ctx context.Context, user auth.UserID) (auth.TOTP, error) {
	t, err := f.SecondFactors.Get(ctx, user)
	return t, errors.Join(err, f.broken)
}

func (f *factors) Remove(ctx context.Context, user auth.UserID) error {
	return errors.Join(f.broken, f.SecondFactors.Remove(ctx, user))
}

type users struct {
	memory.Users
	broken error
}

func (u *users) ByID(ctx context.Context, user auth.UserID) (auth.User, error) {
	if u.broken != nil {
		return auth.User{}, u.broken
	}
	return u.Users.ByID(ctx, user)
}

type factorWorld struct {
	*selfservice.SecondFactors
	users   *users
	factors *factors
	codes   *memory.OneTimeCodes
	history *memory.LoginHistory
	now     time.Time

	sessions memory.Sessions
	pushed   memory.RevocationPush
}

func newFactorWorld(t *testing.T, roles ...auth.Role) *factorWorld {
	t.Helper()
	w := &factorWorld{
		users: &users{}, factors: &factors{}, codes: &memory.OneTimeCodes{}, history: &memory.LoginHistory{},
		now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC),
	}
	w.factors.Users = &w.users.Users
	require.NoError(t, w.users.Create(t.Context(), auth.User{UserID: "hong", Status: auth.Active, Roles: roles}))
	w.SecondFactors = &selfservice.SecondFactors{
		Users: w.users, Factors: w.factors, Codes: w.codes, History: w.history,
		Guesses: &verify.Limiter{Guesses: &memory.Guesses{}, Now: func() time.Time { return w.now }},
		Devices: memory.Devices{}, Sessions: &w.sessions, Push: &w.pushed,
		Reauthenticate: func(_ context.Context, r selfservice.PasswordRequest) error {
			require.Equal(t, client, r.From)
			if r.UserID != "hong" || r.Current != right {
				return fault.New(fault.WrongCredentials)
			}
			return nil
		},
		Now: func() time.Time { return w.now }, NewID: func() id.ID { return id.ID{1} },
	}
	return w
}

func (w *factorWorld) confirm(t *testing.T, code personal.Secret) ([]personal.Secret, error) {
	t.Helper()
	return w.Confirm(t.Context(), selfservice.Confirmation{UserID: "hong", Session: id.ID{1}, Code: code, From: client})
}

func as(typed string) selfservice.PasswordRequest {
	return selfservice.PasswordRequest{UserID: "hong", Current: personal.NewSecret(typed), From: client}
}

func (w *factorWorld) lastEvent() auth.LoginEventType {
	events := w.history.Events()
	return events[len(events)-1].Type
}

func TestEnrolConfirmRemove(t *testing.T) {
	t.Parallel()
	w := newFactorWorld(t, auth.Customer)
	_, err := w.Begin(t.Context(), as("wrong-password"))
	require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
	_, err = w.confirm(t, w.codes.Code(w.now))
	require.ErrorIs(t, err, fault.New(fault.StateConflict), "nothing was begun")
	e, err := w.Begin(t.Context(), as("right-password"))
	require.NoError(t, err)
	require.Contains(t, e.URI.Reveal(), e.Secret.Reveal())
	require.Empty(t, e.RecoveryCodes)
	_, err = w.confirm(t, personal.NewSecret("000001"))
	require.ErrorIs(t, err, fault.New(fault.SecondFactor))
	require.Equal(t, auth.EventMFAFailed, w.lastEvent())
	codes, err := w.confirm(t, w.codes.Code(w.now))
	require.NoError(t, err)
	require.Len(t, codes, auth.RecoveryCodes)
	require.Equal(t, auth.EventMFAEnrolled, w.lastEvent())
	accepted, err := w.factors.Accept(t.Context(), "hong", w.now.Unix()/30)
	require.NoError(t, err)
	require.False(t, accepted, "the confirming code is spent")

	require.ErrorIs(t, w.Remove(t.Context(), as("wrong-password")), fault.New(fault.WrongCredentials))
	require.NoError(t, w.Remove(t.Context(), as("right-password")))
	require.Equal(t, auth.EventMFARemoved, w.lastEvent())
	_, err = w.factors.Get(t.Context(), "hong")
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}

func TestStaffAreEnrolledAndStaySo(t *testing.T) {
	t.Parallel()
	w := newFactorWorld(t, auth.Operator)
	e, err := w.Enrol(t.Context(), "hong", client)
	require.NoError(t, err)
	require.Len(t, e.RecoveryCodes, auth.RecoveryCodes)
	u, err := w.users.ByID(t.Context(), "hong")
	require.NoError(t, err)
	require.True(t, u.SecondFactor)
	require.Equal(t, []auth.Duty{auth.EnrolFactor}, u.Duties(), "the creator knows its secret")
	_, err = w.Enrol(t.Context(), "hong", client)
	require.ErrorIs(t, err, fault.New(fault.StateConflict))
	require.ErrorIs(t, w.Remove(t.Context(), as("right-password")), fault.New(fault.StateConflict))
	held, err := w.factors.Get(t.Context(), "hong")
	require.NoError(t, err)
	require.True(t, held.Confirmed())
}

func TestFailuresAreReturnedAndChangeNothing(t *testing.T) {
	t.Parallel()
	w := newFactorWorld(t, auth.Customer)
	_, err := w.Begin(t.Context(), as("right-password"))
	require.NoError(t, err)
	w.factors.broken = errBackend
	_, err = w.confirm(t, w.codes.Code(w.now))
	require.ErrorIs(t, err, errBackend)
	require.ErrorIs(t, w.Remove(t.Context(), as("right-password")), errBackend)
	w.users.broken = errBackend
	_, err = w.Reset(t.Context(), "hong", client)
	require.ErrorIs(t, err, errBackend)
	require.Empty(t, w.history.Events())
}

func TestGuessingTheConfirmingCodeLocks(t *testing.T) {
	t.Parallel()
	w := newFactorWorld(t, auth.Customer)
	_, err := w.Begin(t.Context(), as("right-password"))
	require.NoError(t, err)
	wrong := personal.NewSecret("000001")
	for range 4 {
		_, err = w.confirm(t, wrong)
		require.ErrorIs(t, err, fault.New(fault.SecondFactor))
	}
	_, err = w.confirm(t, wrong)
	require.ErrorIs(t, err, fault.New(fault.LockedNow))
	_, err = w.confirm(t, w.codes.Code(w.now))
	require.ErrorIs(t, err, fault.New(fault.Locked))
	require.Len(t, w.history.Events(), 6, "each is on record")
}

func TestResetGivesStaffANewFactorAndCustomersNone(t *testing.T) {
	t.Parallel()
	w := newFactorWorld(t, auth.Operator)
	lost, err := w.Enrol(t.Context(), "hong", client)
	require.NoError(t, err)
	e, err := w.Reset(t.Context(), "hong", client)
	require.NoError(t, err)
	require.NotEqual(t, lost.Secret, e.Secret)
	require.Len(t, e.RecoveryCodes, auth.RecoveryCodes)
	held, err := w.factors.Get(t.Context(), "hong")
	require.NoError(t, err)
	require.True(t, held.Confirmed())
	require.Equal(t, e.Secret, held.Secret)

	w = newFactorWorld(t, auth.Customer)
	_, err = w.Enrol(t.Context(), "hong", client)
	require.NoError(t, err)
	e, err = w.Reset(t.Context(), "hong", client)
	require.NoError(t, err)
	require.Zero(t, e)
	_, err = w.factors.Get(t.Context(), "hong")
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}

// TestAFactorIsChangedByItsOwner: the old one counts until the new one is confirmed, and nothing of the old one counts
// then.
func TestAFactorIsChangedByItsOwner(t *testing.T) {
	t.Parallel()
	w := newFactorWorld(t, auth.Operator)
	made, err := w.Enrol(t.Context(), "hong", client)
	require.NoError(t, err)
	fresh, err := w.Begin(t.Context(), as("right-password"))
	require.NoError(t, err)
	require.NotEqual(t, made.Secret, fresh.Secret)
	held, err := w.factors.Get(t.Context(), "hong")
	require.NoError(t, err)
	require.True(t, held.Confirmed())
	require.Equal(t, made.Secret, held.Secret, "it counts until then")
	before, err := w.users.ByID(t.Context(), "hong")
	require.NoError(t, err)
	codes, err := w.confirm(t, w.codes.Code(w.now))
	require.NoError(t, err)
	require.Len(t, codes, auth.RecoveryCodes)
	held, err = w.factors.Get(t.Context(), "hong")
	require.NoError(t, err)
	require.Equal(t, fresh.Secret, held.Secret)
	after, err := w.users.ByID(t.Context(), "hong")
	require.NoError(t, err)
	require.Empty(t, after.Duties(), "the owner alone knows this one")
	require.Equal(t, before.Epoch+1, after.Epoch)
	require.Contains(t, w.pushed.Pushed(), auth.Revocation{UserID: "hong", Epoch: after.Epoch, At: w.now},
		"tokens that carry the duty are refused")
	_, err = w.confirm(t, w.codes.Code(w.now))
	require.ErrorIs(t, err, fault.New(fault.StateConflict), "nothing waits any more")

	_, err = w.Reset(t.Context(), "hong", client)
	require.NoError(t, err)
	after, err = w.users.ByID(t.Context(), "hong")
	require.NoError(t, err)
	require.Equal(t, []auth.Duty{auth.EnrolFactor}, after.Duties(), "one that was reset is another person's too")
}

// TestEnrolmentEndsTheOtherSessionsWhenAsked: they may have begun without a second factor.
func TestEnrolmentEndsTheOtherSessionsWhenAsked(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		w := newFactorWorld(t, auth.Customer)
		policy := auth.DefaultSessions()
		for n := range byte(3) {
			_, err := w.sessions.Create(t.Context(), policy.NewSession(id.ID{n + 1}, "hong", false, client, w.now), policy)
			require.NoError(t, err)
		}
		_, err := w.Begin(t.Context(), as("right-password"))
		require.NoError(t, err)
		_, err = w.Confirm(t.Context(), selfservice.Confirmation{
			UserID: "hong", Session: id.ID{2}, Code: w.codes.Code(w.now), EndOthers: asked, From: client,
		})
		require.NoError(t, err)
		live, err := w.sessions.Live(t.Context(), "hong", policy, w.now)
		require.NoError(t, err)
		if !asked {
			require.Len(t, live, 3)
			continue
		}
		require.Len(t, live, 1)
		require.Equal(t, id.ID{2}, live[0].ID)
		require.Len(t, w.pushed.Pushed(), 2)
		require.Equal(t, auth.EventSessionEnded, w.lastEvent())
	}
}

// TestAnonymousGuessesDoNotStopAKnownDevice: a stranger that locks the id does not keep its owner from enrolling.
func TestAnonymousGuessesDoNotStopAKnownDevice(t *testing.T) {
	t.Parallel()
	w := newFactorWorld(t, auth.Customer)
	_, err := w.Begin(t.Context(), as("right-password"))
	require.NoError(t, err)
	for range 5 {
		_, err = w.confirm(t, personal.NewSecret("000001"))
		require.Error(t, err)
	}
	_, err = w.confirm(t, w.codes.Code(w.now))
	require.Equal(t, []any{fault.ReauthenticationFailed, "AUTH_003"},
		[]any{fault.From(err).Code(), fault.From(err).Details()["reason"]})
	account, err := w.users.ByID(t.Context(), "hong")
	require.NoError(t, err)
	_, err = w.Confirm(t.Context(), selfservice.Confirmation{
		UserID: "hong", Code: w.codes.Code(w.now), Devices: []personal.Secret{memory.Devices{}.Mint(account, id.ID{7}).Value},
		From: client,
	})
	require.NoError(t, err)
}
