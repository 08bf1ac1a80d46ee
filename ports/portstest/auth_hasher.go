package portstest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/personal"
	"phonebill/ports"
)

// PasswordHasher is the suite of ports.PasswordHasher.
func PasswordHasher(t *testing.T, h ports.PasswordHasher) {
	t.Helper()
	secret := personal.NewSecret
	one, err := h.Hash(t.Context(), secret("비밀번호1!"))
	require.NoError(t, err)
	for password, want := range map[string]bool{
		"비밀번호1!": true, "비밀번호1": false, "비밀번호1! ": false, "": false,
		"\u1107\u1175\u1106\u1175\u11af\u1107\u1165\u11ab\u1112\u11691!": true, // the same in NFD
	} {
		ok, stale, err := h.Matches(t.Context(), one, secret(password))
		require.NoError(t, err)
		require.Equal(t, want, ok, "%q", password)
		require.False(t, stale)
	}
	ok, stale, err := h.Matches(t.Context(), personal.Secret{}, secret(""))
	require.NoError(t, err)
	require.False(t, ok, "the zero hash never matches")
	require.False(t, stale)
}
