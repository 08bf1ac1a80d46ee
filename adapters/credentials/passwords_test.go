package credentials_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/credentials"
	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports/portstest"
)

// hasher fails on demand.
type hasher struct {
	memory.Hasher
	matching, hashing error
}

func (h *hasher) Matches(ctx context.Context, hash, password personal.Secret) (ok, stale bool, err error) {
	if h.matching != nil {
		return false, false, h.matching
	}
	return h.Hasher.Matches(ctx, hash, password)
}

func (h *hasher) Hash(ctx context.Context, password personal.Secret) (personal.Secret, error) {
	if h.hashing != nil {
		return personal.Secret{}, h.hashing
	}
	return h.Hasher.Hash(ctx, password)
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	c := credentials.New(&memory.Hasher{Version: "v2"}, &memory.Users{})
	portstest.Credentials(t, c, func(password string) auth.User {
		return auth.User{UserID: "hong1234", PasswordHash: personal.NewSecret("v2$" + password)}
	})
}

func TestAnOldHashIsRenewedButNeverInTheWay(t *testing.T) {
	t.Parallel()
	users, h := &memory.Users{}, &hasher{Hasher: memory.Hasher{Version: "v2"},
		hashing: fault.New(fault.ServiceUnavailable)}
	c := credentials.New(h, users)
	require.NoError(t, users.Create(t.Context(), auth.User{UserID: "old",
		PasswordHash: personal.NewSecret("v1$right-password")}))
	try := func(password, hashAfter string) {
		t.Helper()
		account, err := users.ByID(t.Context(), "old")
		require.NoError(t, err)
		ok, err := c.Check(t.Context(), account, personal.NewSecret(password))
		require.NoError(t, err)
		require.Equal(t, password == "right-password", ok)
		account, err = users.ByID(t.Context(), "old")
		require.NoError(t, err)
		require.Equal(t, hashAfter, account.PasswordHash.Reveal())
	}
	try("right-password", "v1$right-password")
	h.hashing = nil
	try("wrong-password", "v1$right-password")
	try("right-password", "v2$right-password")
}

func TestAFailureIsNoResult(t *testing.T) {
	t.Parallel()
	c := credentials.New(&hasher{matching: fault.New(fault.ServiceUnavailable)}, &memory.Users{})
	ok, err := c.Check(t.Context(), auth.User{}, personal.NewSecret("x"))
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	require.False(t, ok)
}
