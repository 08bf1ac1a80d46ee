package admin_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// accountCalls returns the calls that take an account, by the name of their method.
func accountCalls(ctx context.Context) map[string]func(w *world, by admin.Caller, target auth.UserID) error {
	suspended := auth.Suspended
	return map[string]func(w *world, by admin.Caller, target auth.UserID) error{
		"Show": func(w *world, by admin.Caller, target auth.UserID) error {
			_, err := w.Show(ctx, by, target)
			return err
		},
		"Reveal": func(w *world, by admin.Caller, target auth.UserID) error {
			_, err := w.Reveal(ctx, by, target, why)
			return err
		},
		"Update": func(w *world, by admin.Caller, target auth.UserID) error {
			_, err := w.Update(ctx, by, target, admin.Update{Status: &suspended, Version: 1, Reason: why})
			return err
		},
		"Grant": func(w *world, by admin.Caller, target auth.UserID) error {
			_, err := w.Grant(ctx, by, target, auth.BillInquiry, time.Time{}, why)
			return err
		},
		"Revoke": func(w *world, by admin.Caller, target auth.UserID) error {
			_, err := w.Revoke(ctx, by, target, auth.BillInquiry, why)
			return err
		},
		"Unlock": func(w *world, by admin.Caller, target auth.UserID) error {
			_, err := w.Unlock(ctx, by, target, why)
			return err
		},
		"LoginHistory": func(w *world, by admin.Caller, target auth.UserID) error {
			_, _, err := w.LoginHistory(ctx, by, target, 1, 10)
			return err
		},
		"ListSessions": func(w *world, by admin.Caller, target auth.UserID) error {
			_, err := w.ListSessions(ctx, by, target)
			return err
		},
		"EndSessions": func(w *world, by admin.Caller, target auth.UserID) error {
			_, err := w.EndSessions(ctx, by, target, why)
			return err
		},
		"ResetFactor": func(w *world, by admin.Caller, target auth.UserID) error {
			_, err := w.ResetFactor(ctx, by, target, why)
			return err
		},
	}
}

// TestEveryCallThatTakesAnAccountIsInTheMatrix walks the methods of the service: a new one that takes an account cannot
// be forgotten.
func TestEveryCallThatTakesAnAccountIsInTheMatrix(t *testing.T) {
	t.Parallel()
	known, service := accountCalls(t.Context()), reflect.TypeFor[*admin.Service]()
	for m := range service.Methods() {
		for in := range m.Type.Ins() {
			if in == reflect.TypeFor[auth.UserID]() {
				require.Contains(t, known, m.Name)
			}
		}
	}
}

// TestOnlyAnAdminTouchesStaffAndOwnAccountsAreNotForAdministration is the matrix of role, call and target.
func TestOnlyAnAdminTouchesStaffAndOwnAccountsAreNotForAdministration(t *testing.T) {
	t.Parallel()
	second := admin.Caller{UserID: "second", Name: "second", Roles: []auth.Role{auth.Admin}}
	both := admin.Caller{UserID: "both", Name: "both", Roles: []auth.Role{auth.Customer, auth.Operator}}
	callers := []admin.Caller{customer, operator, both, second, cli}
	roles := map[auth.UserID][]auth.Role{
		"hong": {auth.Customer}, "ops": {auth.Operator}, "ops2": {auth.Operator}, "both": {auth.Customer, auth.Operator},
		"boss": {auth.Admin}, "second": {auth.Admin}, "eve": {auth.Customer},
	}
	for name, do := range accountCalls(t.Context()) {
		for _, by := range callers {
			for target, held := range roles {
				w := newWorld(t)
				for user, r := range roles {
					w.member(t, user, r)
				}
				want := error(nil)
				switch isAdmin, isStaff := by.Roles[0] == auth.Admin, len(held) > 1 || held[0] != auth.Customer; {
				case by.UserID == "eve":
					want = fault.New(fault.PermissionDenied)
				case by.UserID == target:
					want = fault.New(fault.StateConflict)
				case isStaff && !isAdmin:
					want = fault.New(fault.PermissionDenied)
				}
				err := do(w, by, target)
				if want == nil {
					require.NoError(t, err, "%s of %s by %s", name, target, by.Name)
					continue
				}
				require.ErrorIs(t, err, want, "%s of %s by %s", name, target, by.Name)
				rows := w.trail.Entries()
				require.Len(t, rows, 1, "a refusal is on record")
				require.Equal(t, audit.Outcome(fault.From(err).Code()), rows[0].Outcome)
				require.Equal(t, string(target), rows[0].Subject)
				require.Empty(t, w.history.Events(), "nothing was done")
				require.Empty(t, w.push.Pushed(), "nothing was done")
			}
		}
	}
}

// member adds an account with a second factor and a session, unless it is there.
func (w *world) member(t *testing.T, user auth.UserID, roles []auth.Role) {
	t.Helper()
	if _, err := w.users.ByID(t.Context(), user); err != nil {
		require.NoError(t, w.users.Create(t.Context(), auth.User{UserID: user, Roles: roles, Status: auth.Active}))
		require.NoError(t, w.factors.SecondFactors.Begin(t.Context(), user, auth.TOTP{}))
		require.NoError(t, w.factors.Confirm(t.Context(), user, auth.TOTP{ConfirmedAt: now}, nil))
	}
	_, err := w.sessions.Create(t.Context(), w.Policy.NewSession(id.ID{byte(len(user)), user[0]}, user, false,
		auth.Client{}, now), w.Policy)
	require.NoError(t, err)
}

// TestThreeUnlocksOfOneAccountWithinADayAlert: the alert names the call in the audit log, and no customer.
func TestThreeUnlocksOfOneAccountWithinADayAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := now
	w.Now = func() time.Time { return at }
	w.member(t, "kim", []auth.Role{auth.Customer})
	unlock := func(user auth.UserID, by admin.Caller) {
		t.Helper()
		_, err := w.Unlock(t.Context(), by, user, why)
		require.NoError(t, err)
	}
	unlock("hong", operator)
	at = at.Add(24*time.Hour + time.Minute)
	unlock("hong", operator)
	unlock("hong", cli)
	unlock("kim", operator)
	require.Empty(t, w.alerts.Raised(), "the first is too long ago, and accounts are counted apart")
	at = at.Add(23 * time.Hour)
	unlock("hong", boss)
	raised := w.alerts.Raised()
	require.Len(t, raised, 1)
	require.Equal(t, "account_often_unlocked", string(raised[0].Kind))
	rows := w.trail.Entries()
	require.Contains(t, rows[len(rows)-1].Detail, `"call":"`+raised[0].Subject+`"`)
	require.NotContains(t, raised[0].Subject+raised[0].Note, "hong")
}
