package mfa_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/mfa"
	"phonebill/core/auth/password"
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

type world struct {
	*mfa.Service
	users   *users
	factors *factors
	codes   *memory.OneTimeCodes
	history *memory.LoginHistory
	now     time.Time
}

func newWorld(t *testing.T, roles ...auth.Role) *world {
	t.Helper()
	w := &world{
		users: &users{}, factors: &factors{}, codes: &memory.OneTimeCodes{}, history: &memory.LoginHistory{},
		now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC),
	}
	w.factors.Users = &w.users.Users
	require.NoError(t, w.users.Create(t.Context(), auth.User{UserID: "hong", Status: auth.Active, Roles: roles}))
	w.Service = &mfa.Service{
		Users: w.users, Factors: w.factors, Codes: w.codes, History: w.history,
		Reauthenticate: func(_ context.Context, r password.Request) error {
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

func as(typed string) password.Request {
	return password.Request{UserID: "hong", Current: personal.NewSecret(typed), From: client}
}

func (w *world) lastEvent() auth.LoginEventType {
	events := w.history.Events()
	return events[len(events)-1].Type
}

func TestEnrolConfirmRemove(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Customer)
	_, err := w.Begin(t.Context(), as("wrong-password"))
	require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
	_, err = w.Confirm(t.Context(), "hong", w.codes.Code(w.now), client)
	require.ErrorIs(t, err, fault.New(fault.StateConflict), "nothing was begun")
	e, err := w.Begin(t.Context(), as("right-password"))
	require.NoError(t, err)
	require.Contains(t, e.URI.Reveal(), e.Secret.Reveal())
	require.Empty(t, e.RecoveryCodes)
	_, err = w.Confirm(t.Context(), "hong", personal.NewSecret("000001"), client)
	require.ErrorIs(t, err, fault.New(fault.SecondFactor))
	require.Empty(t, w.history.Events())
	codes, err := w.Confirm(t.Context(), "hong", w.codes.Code(w.now), client)
	require.NoError(t, err)
	require.Len(t, codes, auth.RecoveryCodes)
	require.Equal(t, auth.EventMFAEnrolled, w.lastEvent())
	accepted, err := w.factors.Accept(t.Context(), "hong", w.now.Unix()/30)
	require.NoError(t, err)
	require.False(t, accepted, "the confirming code is spent")
	_, err = w.Begin(t.Context(), as("right-password"))
	require.ErrorIs(t, err, fault.New(fault.StateConflict))

	require.ErrorIs(t, w.Remove(t.Context(), as("wrong-password")), fault.New(fault.WrongCredentials))
	require.NoError(t, w.Remove(t.Context(), as("right-password")))
	require.Equal(t, auth.EventMFARemoved, w.lastEvent())
	_, err = w.factors.Get(t.Context(), "hong")
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}

func TestStaffAreEnrolledAndStaySo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Operator)
	e, err := w.Enrol(t.Context(), "hong", client)
	require.NoError(t, err)
	require.Len(t, e.RecoveryCodes, auth.RecoveryCodes)
	u, err := w.users.ByID(t.Context(), "hong")
	require.NoError(t, err)
	require.True(t, u.SecondFactor)
	_, err = w.Enrol(t.Context(), "hong", client)
	require.ErrorIs(t, err, fault.New(fault.StateConflict))
	require.ErrorIs(t, w.Remove(t.Context(), as("right-password")), fault.New(fault.StateConflict))
	held, err := w.factors.Get(t.Context(), "hong")
	require.NoError(t, err)
	require.True(t, held.Confirmed())
}

func TestTroubleIsToldAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Customer)
	_, err := w.Begin(t.Context(), as("right-password"))
	require.NoError(t, err)
	w.factors.broken = errBackend
	_, err = w.Confirm(t.Context(), "hong", w.codes.Code(w.now), client)
	require.ErrorIs(t, err, errBackend)
	require.ErrorIs(t, w.Remove(t.Context(), as("right-password")), errBackend)
	w.users.broken = errBackend
	require.ErrorIs(t, w.Remove(t.Context(), as("right-password")), errBackend)
	require.Empty(t, w.history.Events())
}
