package jose_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/jose"
	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/fault"
)

// kidOf reads the header of a token.
func kidOf(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	require.NoError(t, err)
	var h struct{ KID string }
	require.NoError(t, json.Unmarshal(raw, &h))
	return h.KID
}

func published(t *testing.T, i *jose.TokenIssuer) []string {
	t.Helper()
	var set struct{ Keys []struct{ KID string } }
	require.NoError(t, json.Unmarshal(i.JWKS(), &set))
	var kids []string
	for _, k := range set.Keys {
		kids = append(kids, k.KID)
	}
	return kids
}

func TestAnIssuerFollowsTheScheduleWithoutARestart(t *testing.T) {
	t.Parallel()
	keys, now := &memory.SigningKeys{}, noon
	i, err := jose.NewIssuer(t.Context(), keys, auth.DefaultKeys(), func() time.Time { return now }, newID)
	require.NoError(t, err)
	signs := func() string {
		t.Helper()
		p := customer(t)
		p.ExpiresAt = now.Add(time.Minute)
		token, err := i.Issue(t.Context(), p, now)
		require.NoError(t, err)
		_, err = verifierOf(i).Verify(t.Context(), token.Reveal(), now)
		require.NoError(t, err)
		return kidOf(t, token.Reveal())
	}
	first := signs()
	next := jose.NewKey() // by another instance
	next.CreatedAt, next.ActiveAt = now, now.Add(10*time.Minute)
	require.NoError(t, keys.AddNext(t.Context(), next, first))
	require.NoError(t, i.Reload(t.Context()))
	require.Equal(t, []string{next.KeyID, first}, published(t, i))
	require.Equal(t, first, signs(), "published before it signs")
	now = next.ActiveAt
	require.NoError(t, i.Reload(t.Context()))
	require.Equal(t, next.KeyID, signs())
	require.Equal(t, []string{next.KeyID, first}, published(t, i), "its tokens still live")
	now = now.Add(auth.DefaultKeys().Keep + 1)
	require.NoError(t, i.Reload(t.Context()))
	require.Equal(t, []string{next.KeyID}, published(t, i))
	require.NoError(t, keys.Retire(t.Context(), next.KeyID, now))
	require.NoError(t, keys.Retire(t.Context(), first, now))
	require.NoError(t, i.Reload(t.Context()))
	require.Empty(t, published(t, i))
	_, err = i.Issue(t.Context(), customer(t), now)
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "nothing is signed with a retired key")
}

// rotating returns an issuer with two keys and a verifier that counts its fetches.
func rotating(t *testing.T) (v *jose.Verifier, old, young string, fetches *int, broken *error) {
	t.Helper()
	keys := &memory.SigningKeys{}
	i := issuer(t, keys)
	token, err := i.Issue(t.Context(), customer(t), noon)
	require.NoError(t, err)
	next := jose.NewKey()
	next.CreatedAt, next.ActiveAt = noon.Add(1), noon
	require.NoError(t, keys.AddNext(t.Context(), next, kidOf(t, token.Reveal())))
	require.NoError(t, i.Reload(t.Context()))
	other, err := i.Issue(t.Context(), customer(t), noon)
	require.NoError(t, err)
	fetches, broken = new(int), new(error)
	v = jose.NewVerifier(func(context.Context) ([]byte, error) { *fetches++; return i.JWKS(), *broken })
	return v, token.Reveal(), other.Reveal(), fetches, broken
}

func TestAKeyThatIsNotNamedIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	v, old, young, fetches, broken := rotating(t)
	require.NoError(t, v.Accept(t.Context(), []string{kidOf(t, young), kidOf(t, old)}))
	require.Equal(t, 1, *fetches)
	for _, token := range []string{old, young, old} {
		_, err := v.Verify(t.Context(), token, noon)
		require.NoError(t, err)
	}
	*broken = errors.New("auth is down")
	require.NoError(t, v.Accept(t.Context(), []string{kidOf(t, young)}), "nothing to fetch")
	_, err := v.Verify(t.Context(), old, noon)
	require.ErrorIs(t, err, fault.New(fault.TokenInvalid), "though remembered, though the issuer cannot be asked")
	_, err = v.Verify(t.Context(), young, noon)
	require.NoError(t, err)
	*broken = nil
	require.NoError(t, v.Refresh(t.Context()))
	_, err = v.Verify(t.Context(), old, noon.Add(time.Minute))
	require.ErrorIs(t, err, fault.New(fault.TokenInvalid), "a JWKS that still has it brings it not back")
	before := *fetches
	require.NoError(t, v.Accept(t.Context(), []string{kidOf(t, young)}))
	require.Equal(t, before, *fetches, "no change, no fetch")
	require.NoError(t, v.Accept(t.Context(), []string{}))
	_, err = v.Verify(t.Context(), young, noon)
	require.Error(t, err)
}

func TestAKeyThatIsNamedButNotHereYetIsNoReasonToLogOut(t *testing.T) {
	t.Parallel()
	v, old, young, _, broken := rotating(t)
	require.NoError(t, v.Accept(t.Context(), []string{kidOf(t, old)}))
	_, err := v.Verify(t.Context(), young, noon)
	require.ErrorIs(t, err, fault.New(fault.TokenInvalid))
	*broken = errors.New("auth is down")
	require.Error(t, v.Accept(t.Context(), []string{kidOf(t, old), kidOf(t, young)}))
	for range 2 {
		_, err = v.Verify(t.Context(), young, noon)
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	}
	*broken = nil
	require.NoError(t, v.Accept(t.Context(), []string{kidOf(t, old), kidOf(t, young)}))
	_, err = v.Verify(t.Context(), young, noon)
	require.NoError(t, err)
}

// TestARemovedKeyIsNotRememberedByALateVerification lets many verify while the key goes: none of them may leave it
// behind.
func TestARemovedKeyIsNotRememberedByALateVerification(t *testing.T) {
	t.Parallel()
	v, old, young, _, _ := rotating(t)
	require.NoError(t, v.Accept(t.Context(), []string{kidOf(t, young), kidOf(t, old)}))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 30 {
				_, _ = v.Verify(t.Context(), old, noon)
			}
		})
	}
	require.NoError(t, v.Accept(t.Context(), []string{kidOf(t, young)}))
	all.Wait()
	_, err := v.Verify(t.Context(), old, noon)
	require.ErrorIs(t, err, fault.New(fault.TokenInvalid))
}

// TestNoTokenCausesACall has tokens that point to a key server; it must not be asked.
func TestNoTokenCausesACall(t *testing.T) {
	t.Parallel()
	called := false
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer evil.Close()
	v := verifierOf(issuer(t, &memory.SigningKeys{}))
	for _, pointer := range []string{"jku", "x5u"} {
		head := map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": "x", pointer: evil.URL}
		_, err := v.Verify(t.Context(), forge(t, head, map[string]any{}, hmacBy(nil)), noon)
		require.ErrorIs(t, err, fault.New(fault.TokenInvalid))
	}
	require.False(t, called)
}
