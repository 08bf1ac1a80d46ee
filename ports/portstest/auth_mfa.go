package portstest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports"
)

// SecondFactors is the suite of ports.SecondFactors. The users know the account Owner.
func SecondFactors(t *testing.T, open func(t *testing.T) (ports.SecondFactors, ports.Users)) {
	t.Helper()
	user := Owner().UserID
	first := auth.TOTP{Secret: personal.NewSecret("JBSWY3DPEHPK3PXP"), CreatedAt: after(1)}
	second := auth.TOTP{Secret: personal.NewSecret("GEZDGNBVGY3TQOJQ"), CreatedAt: after(2)}
	confirmed := second
	confirmed.ConfirmedAt, confirmed.LastStep = after(3), 100
	codes := []personal.Secret{personal.NewSecret("abcde-fghij"), personal.NewSecret("klmno-pqrst")}
	enrol := func(t *testing.T, factors ports.SecondFactors) {
		t.Helper()
		require.NoError(t, factors.Begin(t.Context(), user, second))
		require.NoError(t, factors.Confirm(t.Context(), user, confirmed, codes))
	}
	t.Run("begun, begun anew, confirmed, removed", func(t *testing.T) {
		t.Parallel()
		factors, users := open(t)
		counts := func() bool {
			u, err := users.ByID(t.Context(), user)
			require.NoError(t, err)
			return u.SecondFactor
		}
		_, err := factors.Get(t.Context(), user)
		requireFault(t, fault.ResourceNotFound, err)
		requireFault(t, fault.StateConflict, factors.Confirm(t.Context(), user, confirmed, codes))
		for _, begun := range []auth.TOTP{first, second} {
			require.NoError(t, factors.Begin(t.Context(), user, begun))
			got, err := factors.Get(t.Context(), user)
			require.NoError(t, err)
			require.Equal(t, begun, got)
		}
		require.False(t, counts(), "not before it is confirmed")
		late := first
		late.ConfirmedAt = after(3)
		requireFault(t, fault.StateConflict, factors.Confirm(t.Context(), user, late, codes))
		require.NoError(t, factors.Confirm(t.Context(), user, confirmed, codes))
		got, err := factors.Get(t.Context(), user)
		require.NoError(t, err)
		require.Equal(t, confirmed, got)
		require.True(t, counts())
		requireFault(t, fault.StateConflict, factors.Confirm(t.Context(), user, confirmed, codes))
		requireFault(t, fault.StateConflict, factors.Begin(t.Context(), user, first))
		require.NoError(t, factors.Remove(t.Context(), user))
		require.NoError(t, factors.Remove(t.Context(), user), "none is no error")
		require.False(t, counts())
		used, err := factors.UseRecoveryCode(t.Context(), user, codes[0], after(4))
		require.NoError(t, err)
		require.False(t, used, "codes go with the factor")
		require.NoError(t, factors.Begin(t.Context(), user, first))
	})
	t.Run("the next one counts once it is confirmed, and the one before until then", func(t *testing.T) {
		t.Parallel()
		factors, users := open(t)
		requireFault(t, fault.StateConflict, factors.BeginNext(t.Context(), user, first))
		require.NoError(t, factors.Begin(t.Context(), user, first))
		requireFault(t, fault.StateConflict, factors.BeginNext(t.Context(), user, first))
		enrol(t, factors)
		for _, next := range []auth.TOTP{first, {Secret: personal.NewSecret("MFRGGZDFMZTWQ2LK"), CreatedAt: after(4)}} {
			require.NoError(t, factors.BeginNext(t.Context(), user, next))
			got, err := factors.Get(t.Context(), user)
			require.NoError(t, err)
			want := confirmed
			want.Next, want.NextCreatedAt = next.Secret, next.CreatedAt
			require.Equal(t, want, got)
		}
		requireFault(t, fault.StateConflict, factors.Confirm(t.Context(), user, confirmed, codes))
		fresh := auth.TOTP{Secret: personal.NewSecret("MFRGGZDFMZTWQ2LK"), CreatedAt: after(4), ConfirmedAt: after(5),
			LastStep: 90}
		spare := personal.NewSecret("uvwxy-z2345")
		require.NoError(t, factors.Confirm(t.Context(), user, fresh, []personal.Secret{spare}))
		got, err := factors.Get(t.Context(), user)
		require.NoError(t, err)
		require.Equal(t, fresh, got)
		for code, want := range map[personal.Secret]bool{codes[0]: false, spare: true} {
			used, err := factors.UseRecoveryCode(t.Context(), user, code, after(6))
			require.NoError(t, err)
			require.Equal(t, want, used)
		}
		u, err := users.ByID(t.Context(), user)
		require.NoError(t, err)
		require.True(t, u.SecondFactor)
	})
	t.Run("replaced: the new one alone counts", func(t *testing.T) {
		t.Parallel()
		factors, _ := open(t)
		enrol(t, factors)
		fresh := auth.TOTP{Secret: personal.NewSecret("MFRGGZDFMZTWQ2LK"), CreatedAt: after(5), ConfirmedAt: after(5)}
		spare := personal.NewSecret("uvwxy-z2345")
		require.NoError(t, factors.Replace(t.Context(), user, fresh, []personal.Secret{spare}))
		got, err := factors.Get(t.Context(), user)
		require.NoError(t, err)
		require.Equal(t, fresh, got)
		for code, want := range map[personal.Secret]bool{codes[0]: false, spare: true} {
			used, err := factors.UseRecoveryCode(t.Context(), user, code, after(6))
			require.NoError(t, err)
			require.Equal(t, want, used)
		}
	})
	t.Run("no account becomes staff while its factor is removed", func(t *testing.T) {
		t.Parallel()
		for range 10 {
			factors, users := open(t)
			enrol(t, factors)
			var all sync.WaitGroup
			all.Go(func() { _ = factors.Remove(t.Context(), user) })
			all.Go(func() {
				_, _ = users.Change(t.Context(), user, func(u auth.User) (auth.User, error) {
					if !u.SecondFactor {
						return u, fault.New(fault.StateConflict)
					}
					u.Roles = []auth.Role{auth.Admin}
					return u, nil
				})
			})
			all.Wait()
			u, err := users.ByID(t.Context(), user)
			require.NoError(t, err)
			require.Equal(t, u.Staff(), u.SecondFactor)
			if u.Staff() {
				requireFault(t, fault.StateConflict, factors.Remove(t.Context(), user))
			}
		}
	})
	t.Run("no code counts before confirmation", func(t *testing.T) {
		t.Parallel()
		factors, _ := open(t)
		require.NoError(t, factors.Begin(t.Context(), user, first))
		accepted, err := factors.Accept(t.Context(), user, 100)
		require.NoError(t, err)
		require.False(t, accepted)
	})
	t.Run("of many uses of one code one counts, and time does not go back", func(t *testing.T) {
		t.Parallel()
		factors, _ := open(t)
		enrol(t, factors)
		require.EqualValues(t, 0, times(t, func() (bool, error) { return factors.Accept(t.Context(), user, 100) }),
			"confirming used it")
		require.EqualValues(t, 1, times(t, func() (bool, error) { return factors.Accept(t.Context(), user, 102) }))
		require.EqualValues(t, 0, times(t, func() (bool, error) { return factors.Accept(t.Context(), user, 101) }))
		require.EqualValues(t, 1, times(t, func() (bool, error) {
			return factors.UseRecoveryCode(t.Context(), user, codes[0],
				after(4))
		}))
		for _, wrong := range []personal.Secret{codes[0], personal.NewSecret(""), personal.NewSecret("zzzzz-zzzzz")} {
			used, err := factors.UseRecoveryCode(t.Context(), user, wrong, after(4))
			require.NoError(t, err)
			require.False(t, used)
		}
		used, err := factors.UseRecoveryCode(t.Context(), "unknown1", codes[1], after(4))
		require.NoError(t, err)
		require.False(t, used, "codes belong to one account")
		used, err = factors.UseRecoveryCode(t.Context(), user, codes[1], after(4))
		require.NoError(t, err)
		require.True(t, used)
	})
}

// times counts how many of 20 parallel tries succeed.
func times(t *testing.T, try func() (bool, error)) int64 {
	t.Helper()
	var all sync.WaitGroup
	var n atomic.Int64
	for range 20 {
		all.Go(func() {
			ok, err := try()
			noError(t, err)
			if ok {
				n.Add(1)
			}
		})
	}
	all.Wait()
	return n.Load()
}

// OneTimeCodes is the suite of ports.OneTimeCodes; codeAt returns what an authenticator app would show.
func OneTimeCodes(
	t *testing.T, codes ports.OneTimeCodes, codeAt func(secret personal.Secret, step int64) personal.Secret,
) {
	t.Helper()
	secret := codes.NewSecret()
	require.NotEqual(t, secret, codes.NewSecret())
	require.Contains(t, codes.URI("hong1234", secret).Reveal(), secret.Reveal())
	at := after(0)
	step, ok := codes.Step(secret, codeAt(secret, at.Unix()/30), at)
	require.True(t, ok)
	require.Equal(t, at.Unix()/30, step)
	for _, far := range []int64{-2, 2} {
		_, ok = codes.Step(secret, codeAt(secret, at.Unix()/30+far), at)
		require.False(t, ok, far)
	}
	made := codes.NewRecoveryCodes()
	require.Len(t, made, auth.RecoveryCodes)
	seen := map[personal.Secret]bool{}
	for _, code := range made {
		require.Equal(t, auth.CodeRecovery, auth.KindOfCode(code), code.Reveal())
		require.False(t, seen[code])
		seen[code] = true
	}
}
