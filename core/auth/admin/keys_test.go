package admin_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth/admin"
	"phonebill/core/auth/keys"
	"phonebill/core/fault"
)

func TestSigningKeysAreRotatedReplacedAndRetired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := w.RotateKey(t.Context(), boss, why)
	require.NoError(t, err)
	require.Equal(t, keys.Signing, first.State, "there was none")
	next, err := w.RotateKey(t.Context(), boss, why)
	require.NoError(t, err)
	require.Equal(t, keys.Next, next.State)
	require.ErrorIs(t, w.RetireKey(t.Context(), boss, first.KeyID, why), fault.New(fault.StateConflict),
		"nothing would sign")
	require.ErrorIs(t, w.RetireKey(t.Context(), boss, "no-such-key", why), fault.New(fault.ResourceNotFound))
	require.NoError(t, w.RetireKey(t.Context(), boss, next.KeyID, why))
	fresh, err := w.ReplaceKeys(t.Context(), boss, why)
	require.NoError(t, err)
	held, err := w.Keys.List(t.Context())
	require.NoError(t, err)
	for _, k := range held {
		require.Equal(t, k.KeyID == fresh.KeyID, k.State == keys.Signing, k.KeyID)
		require.Equal(t, k.KeyID != fresh.KeyID, k.State == keys.Over, k.KeyID)
	}
	require.Contains(t, w.rows(), "SIGNING_KEY_RETIRED "+next.KeyID+" DONE")
	_, err = w.ReplaceKeys(t.Context(), customer, why)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	_, err = w.RotateKey(t.Context(), boss, "")
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
}

func TestServiceKeysAreMintedOnceAndRetiredByTheirName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, err := w.MintServiceKey(t.Context(), boss, "mvno-ap", why)
	require.NoError(t, err)
	name := admin.ShortHash(keys.ServiceKeyHash(key))
	entries := w.trail.Entries()
	require.Contains(t, entries[len(entries)-1].Detail, name)
	require.NotContains(t, entries[len(entries)-1].Detail, key.Reveal())
	_, err = w.MintServiceKey(t.Context(), boss, "x", why)
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	for _, short := range []string{"", name[:7], "00000000"} {
		require.ErrorIs(t, w.RetireServiceKey(t.Context(), boss, short, why), fault.New(fault.ResourceNotFound), short)
	}
	require.NoError(t, w.RetireServiceKey(t.Context(), boss, name, why))
	held, err := w.Services.List(t.Context())
	require.NoError(t, err)
	require.False(t, held[0].Live(now))
}
