package jose_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/jose"
	"phonebill/core/auth"
	"phonebill/core/personal"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func signerWith(t *testing.T, keys ...auth.SigningKey) ports.Signer {
	t.Helper()
	return jose.NewSigner(keyList{keys: keys}, func() time.Time { return time.Unix(1_800_000_000, 0) })
}

// keyList is a store that holds just these keys, newest first; nil is in trouble. Nothing else is asked of it.
type keyList struct {
	ports.SigningKeys
	keys []auth.SigningKey
}

func (l keyList) List(context.Context) ([]auth.SigningKey, error) {
	if l.keys == nil {
		return nil, errors.New("store is in trouble")
	}
	return l.keys, nil
}

func signingKey(kid, seed string) auth.SigningKey {
	return auth.SigningKey{KeyID: kid, Seed: personal.NewSecret(strings.Repeat(seed, 32))}
}

func TestSigner(t *testing.T) {
	t.Parallel()
	portstest.Signer(t, func(t *testing.T) (signer, other ports.Signer) {
		t.Helper()
		return signerWith(t, signingKey("k", "a")), signerWith(t, signingKey("k", "b"))
	})
}

func TestTheYoungestActiveKeySignsAndRetiredOnesAreStillKnown(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	next, current, old := signingKey("next", "a"), signingKey("current", "b"), signingKey("old", "c")
	next.ActiveAt, old.RetiredAt = at.Add(time.Hour), at.Add(-time.Hour)
	kid, _, err := signerWith(t, next, old, current).Sign(t.Context(), []byte("x"))
	require.NoError(t, err)
	require.Equal(t, "current", kid)
	before := old
	before.RetiredAt = time.Time{}
	_, signature, err := signerWith(t, before).Sign(t.Context(), []byte("x"))
	require.NoError(t, err)
	known, err := signerWith(t, next, current, old).Signed(t.Context(), "old", []byte("x"), signature)
	require.NoError(t, err)
	require.True(t, known)
	_, _, err = signerWith(t, next, old).Sign(t.Context(), []byte("x"))
	require.Error(t, err, "none is active")
	_, _, err = signerWith(t).Sign(t.Context(), []byte("x"))
	require.Error(t, err)
	_, err = signerWith(t).Signed(t.Context(), "old", []byte("x"), signature)
	require.Error(t, err)
}
