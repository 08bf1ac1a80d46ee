package keys_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/keys"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

// countedKeys counts how often it is asked and fails on demand.
type countedKeys struct {
	memory.ServiceKeys
	lists  int
	broken error
}

func (k *countedKeys) List(ctx context.Context) ([]auth.ServiceKey, error) {
	k.lists++
	if k.broken != nil {
		return nil, k.broken
	}
	return k.ServiceKeys.List(ctx)
}

var peer = auth.Client{IP: "198.51.100.1", UserAgent: "ap-server/1"}

func TestMintAndIdentify(t *testing.T) {
	t.Parallel()
	store, now := &countedKeys{}, time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	r := keys.NewRegistry(store, func() time.Time { return now })
	key, err := keys.MintServiceKey(t.Context(), store, "mvno-ap", now)
	require.NoError(t, err)
	require.Regexp(t, `^pbs1\.[A-Za-z0-9_-]{43}$`, key.Reveal())
	_, err = keys.MintServiceKey(t.Context(), store, "no such name", now)
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	ask := func(q keys.ServiceRequest) (auth.Client, error) { return r.Identify(t.Context(), peer, q) }

	got, err := ask(keys.ServiceRequest{Address: "203.0.113.9", UserAgent: "forged"})
	require.NoError(t, err)
	require.Equal(t, peer, got, "without a credential the peer counts")
	got, err = ask(keys.ServiceRequest{Credential: key, Address: "::ffff:203.0.113.9",
		UserAgent: strings.Repeat("앱", 100)})
	require.NoError(t, err)
	require.Equal(t, "203.0.113.9", got.IP)
	require.Equal(t, "mvno-ap", got.Service)
	require.Equal(t, strings.Repeat("앱", 85), got.UserAgent)
	got, err = ask(keys.ServiceRequest{Credential: key})
	require.NoError(t, err)
	require.Equal(t, auth.Client{IP: peer.IP, UserAgent: peer.UserAgent, Service: "mvno-ap"}, got)
	_, err = ask(keys.ServiceRequest{Credential: key, Address: "not an address"})
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	require.Equal(t, 1, store.lists, "known by heart")
}

func TestAnUnknownKeyIsReadRarely(t *testing.T) {
	t.Parallel()
	store, now := &countedKeys{}, time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	r := keys.NewRegistry(store, func() time.Time { return now })
	wrong := keys.ServiceRequest{Credential: personal.NewSecret("pbs1.guess")}
	for range 50 {
		_, err := r.Identify(t.Context(), peer, wrong)
		require.ErrorIs(t, err, fault.New(fault.Unauthorized))
	}
	require.Equal(t, 1, store.lists)
	key, err := keys.MintServiceKey(t.Context(), store, "mvno-ap", now)
	require.NoError(t, err)
	now = now.Add(time.Second)
	_, err = r.Identify(t.Context(), peer, keys.ServiceRequest{Credential: key})
	require.NoError(t, err, "a new key needs no restart")
}

func TestRotationWithoutRestart(t *testing.T) {
	t.Parallel()
	store, now := &countedKeys{}, time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	r := keys.NewRegistry(store, func() time.Time { return now })
	var minted []keys.ServiceRequest
	for range 3 {
		now = now.Add(time.Minute)
		key, err := keys.MintServiceKey(t.Context(), store, "mvno-ap", now)
		require.NoError(t, err)
		minted = append(minted, keys.ServiceRequest{Credential: key})
		require.NoError(t, r.Reload(t.Context()))
		_, err = r.Identify(t.Context(), peer, minted[0])
		if len(minted) <= auth.LiveServiceKeys {
			require.NoError(t, err, "two keys are good at a time")
		} else {
			require.ErrorIs(t, err, fault.New(fault.Unauthorized))
		}
	}
	store.broken = errors.New("backend is in trouble")
	require.Error(t, r.Reload(t.Context()))
	for _, q := range minted[1:] {
		_, err := r.Identify(t.Context(), peer, q)
		require.NoError(t, err, "what is known stays good")
	}
	store.broken = nil
	require.NoError(t, store.Retire(t.Context(), keys.ServiceKeyHash(minted[2].Credential), now))
	require.NoError(t, r.Reload(t.Context()))
	_, err := r.Identify(t.Context(), peer, minted[2])
	require.ErrorIs(t, err, fault.New(fault.Unauthorized))
}

// TestAKeyThatCannotBeLookedUpIsNotWrong: while the keys cannot be read an unknown one may be good, and known ones are.
func TestAKeyThatCannotBeLookedUpIsNotWrong(t *testing.T) {
	t.Parallel()
	store, now := &countedKeys{broken: errors.New("away")}, time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	r := keys.NewRegistry(store, func() time.Time { return now })
	key, err := keys.MintServiceKey(t.Context(), store, "mvno-ap", now)
	require.NoError(t, err)
	for range 2 { // the second time without asking again
		_, err = r.Identify(t.Context(), peer, keys.ServiceRequest{Credential: key})
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	}
	store.broken, now = nil, now.Add(time.Second)
	_, err = r.Identify(t.Context(), peer, keys.ServiceRequest{Credential: key})
	require.NoError(t, err)
	store.broken = errors.New("away")
	require.Error(t, r.Reload(t.Context()))
	_, err = r.Identify(t.Context(), peer, keys.ServiceRequest{Credential: key})
	require.NoError(t, err, "known ones stay valid")
	_, err = r.Identify(t.Context(), peer, keys.ServiceRequest{Credential: personal.NewSecret("pbs1.new")})
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
}
