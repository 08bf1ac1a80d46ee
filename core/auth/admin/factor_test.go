package admin_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
)

var cli = admin.CommandLine("root")

func TestALostFactorIsReplacedForStaffAndRemovedForCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, err := w.ResetFactor(t.Context(), cli, "boss", why)
	require.NoError(t, err)
	require.Len(t, e.RecoveryCodes, auth.RecoveryCodes)
	held, err := w.factors.Get(t.Context(), "boss")
	require.NoError(t, err)
	require.True(t, held.Confirmed())
	require.Equal(t, e.Secret, held.Secret)
	reset, err := w.users.ByID(t.Context(), "boss")
	require.NoError(t, err)
	require.Equal(t, []auth.Duty{auth.EnrolFactor}, reset.Duties(), "the person who reset it knows the secret")

	w.begin(t, 7)
	require.NoError(t, w.factors.Begin(t.Context(), "hong", auth.TOTP{Secret: personal.NewSecret("S")}))
	require.NoError(t, w.factors.Confirm(t.Context(), "hong", auth.TOTP{Secret: personal.NewSecret("S"), ConfirmedAt: now},
		nil))
	e, err = w.ResetFactor(t.Context(), boss, "hong", why)
	require.NoError(t, err)
	require.Zero(t, e)
	_, err = w.factors.Get(t.Context(), "hong")
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
	ended, err := w.sessions.Get(t.Context(), id.ID{7})
	require.NoError(t, err)
	require.False(t, ended.RevokedAt.IsZero(), "the account's sessions end")
	require.Contains(t, w.rows(), "SECOND_FACTOR_RESET hong DONE")

	_, err = w.ResetFactor(t.Context(), operator, "boss", why)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	_, err = w.ResetFactor(t.Context(), boss, "boss", why)
	require.ErrorIs(t, err, fault.New(fault.StateConflict), "not the caller's own")
	_, err = w.ResetFactor(t.Context(), boss, "unknown1", why)
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
}

// TestNewStaffHaveNoOldSessions: it may have begun without a second factor.
func TestNewStaffHaveNoOldSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sid := w.begin(t, 7)
	require.NoError(t, w.factors.Begin(t.Context(), "hong", auth.TOTP{Secret: personal.NewSecret("S")}))
	require.NoError(t, w.factors.Confirm(t.Context(), "hong", auth.TOTP{Secret: personal.NewSecret("S"), ConfirmedAt: now},
		nil))
	_, err := w.Update(t.Context(), boss, "hong", admin.Update{Roles: []auth.Role{auth.Customer, auth.Operator},
		Version: 1, Reason: why})
	require.NoError(t, err)
	ended, err := w.sessions.Get(t.Context(), sid)
	require.NoError(t, err)
	require.False(t, ended.RevokedAt.IsZero())
}
