package login_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/login"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

type factors struct {
	memory.SecondFactors
	broken error
}

func (f *factors) Get(ctx context.Context, user auth.UserID) (auth.TOTP, error) {
	t, err := f.SecondFactors.Get(ctx, user)
	return t, errors.Join(err, f.broken)
}

// enrolled returns the world of an operator with a second factor.
func enrolled(t *testing.T) (*world, *factors, *memory.OneTimeCodes) {
	t.Helper()
	w, f, codes := newWorld(t), &factors{}, &memory.OneTimeCodes{}
	f.Users = &w.users.Users
	w.Factors, w.Codes = f, codes
	w.put(t, auth.User{
		UserID: "ops", PasswordHash: personal.NewSecret("v2$right-password"), Roles: []auth.Role{auth.Operator},
		Status: auth.Active,
	})
	totp := auth.TOTP{Secret: codes.NewSecret(), ConfirmedAt: w.now}
	require.NoError(t, f.Begin(t.Context(), "ops", totp))
	require.NoError(t, f.Confirm(t.Context(), "ops", totp, codes.NewRecoveryCodes()))
	return w, f, codes
}

func (w *world) withCode(t *testing.T, password string, code personal.Secret) error {
	t.Helper()
	_, err := w.Login(t.Context(), login.Request{UserID: "ops", Password: personal.NewSecret(password), Code: code,
		From: client})
	return err
}

func TestASecondFactorIsAskedForAfterThePassword(t *testing.T) {
	t.Parallel()
	w, _, codes := enrolled(t)
	good := codes.Code(w.now)
	require.ErrorIs(t, w.withCode(t, "wrong-password", good), fault.New(fault.WrongCredentials),
		"the password comes first")
	err := w.withCode(t, "right-password", personal.NewSecret(""))
	require.ErrorIs(t, err, fault.New(fault.SecondFactor))
	require.Equal(t, fault.From(auth.FactorNeeded()).Fields(), fault.From(err).Fields())
	require.Equal(t, auth.EventLogin, w.lastEvent(t).Type, "the first half of a login")
	require.Equal(t, "AUTH_004", w.lastEvent(t).Reason)
	require.NoError(t, w.withCode(t, "right-password", good))
	require.Equal(t, auth.EventLogin, w.lastEvent(t).Type)
	err = w.withCode(t, "right-password", good)
	require.ErrorIs(t, err, fault.New(fault.SecondFactor), "a code is accepted once")
	require.Equal(t, fault.From(auth.FactorWrong()).Fields(), fault.From(err).Fields())
	require.Equal(t, auth.EventMFAFailed, w.lastEvent(t).Type)
	w.now = w.now.Add(30 * time.Second)
	require.NoError(t, w.withCode(t, "right-password", codes.Code(w.now)))
	for _, malformed := range []string{"12345", "AAAAA-BBBBB"} {
		require.ErrorIs(t, w.withCode(t, "right-password", personal.NewSecret(malformed)), fault.New(fault.SecondFactor))
	}
}

func TestARecoveryCodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	w, _, codes := enrolled(t)
	spare := codes.NewRecoveryCodes()[3]
	require.NoError(t, w.withCode(t, "right-password", spare))
	require.Equal(t, auth.EventMFARecovery, w.lastEvent(t).Type)
	require.True(t, w.lastEvent(t).Success)
	require.ErrorIs(t, w.withCode(t, "right-password", spare), fault.New(fault.SecondFactor))
}

func TestGuessingCodesLocksLikeGuessingPasswords(t *testing.T) {
	t.Parallel()
	w, _, codes := enrolled(t)
	wrong := personal.NewSecret("000001")
	for range 10 {
		require.ErrorIs(t, w.withCode(t, "right-password", personal.NewSecret("")), fault.New(fault.SecondFactor),
			"a missing code is no guess")
	}
	for range 4 {
		require.ErrorIs(t, w.withCode(t, "right-password", wrong), fault.New(fault.SecondFactor))
	}
	require.ErrorIs(t, w.withCode(t, "right-password", wrong), fault.New(fault.LockedNow))
	require.Equal(t, auth.EventLocked, w.lastEvent(t).Type)
	require.ErrorIs(t, w.withCode(t, "right-password", codes.Code(w.now)), fault.New(fault.Locked))
}

func TestOneCodeOpensOneOfManyParallelLogins(t *testing.T) {
	t.Parallel()
	w, _, codes := enrolled(t)
	w.Credentials = memory.Credentials{Hasher: &memory.Hasher{Version: "v2"}} // counts nothing, so needs no lock
	good := codes.Code(w.now)
	var opened atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if w.withCode(t, "right-password", good) == nil {
				opened.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, opened.Load())
}

func TestStaffWithoutASecondFactorDoNotGetIn(t *testing.T) {
	t.Parallel()
	w, f, codes := enrolled(t)
	tokens, err := w.Login(t.Context(), login.Request{
		UserID: "ops", Password: personal.NewSecret("right-password"), Code: codes.Code(w.now), From: client,
	})
	require.NoError(t, err)
	require.ErrorIs(t, f.Remove(t.Context(), "ops"), fault.New(fault.StateConflict))
	w.users.forget = "ops" // lost all the same
	require.ErrorIs(t, w.withCode(t, "right-password", codes.Code(w.now)), fault.New(fault.SecondFactor))
	_, err = w.Renew(t.Context(), tokens.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid), "their sessions end")
	f.broken = errBackend
	w.put(t, auth.User{UserID: "kim", PasswordHash: personal.NewSecret("v2$right-password"), Status: auth.Active})
	_, err = w.try(t, "kim", "right-password")
	require.NoError(t, err, "a customer needs none and is not asked for it")
}

func TestTroubleWithTheSecondFactorIsNoGuess(t *testing.T) {
	t.Parallel()
	w, f, codes := enrolled(t)
	f.broken = errBackend
	for range 6 {
		require.ErrorIs(t, w.withCode(t, "right-password", codes.Code(w.now)), errBackend)
	}
	f.broken = nil
	require.NoError(t, w.withCode(t, "right-password", codes.Code(w.now)))
}
