package jose_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/jose"
	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
)

func newID() id.ID { return id.ID(uuid.Must(uuid.NewV7())) }

func clockAt(t time.Time) ports.Clock { return func() time.Time { return t } }

// noon has no fraction: exp and iat are whole seconds.
var noon = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func customer(t *testing.T) auth.Principal {
	t.Helper()
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	return auth.Principal{
		UserID: "hong", SessionID: newID(), CustomerID: "C-1", Lines: []line.Number{n}, Roles: []auth.Role{auth.Customer},
		Permissions: []auth.Permission{auth.BillInquiry}, Epoch: 7, ExpiresAt: noon.Add(30 * time.Minute),
		Duties: []auth.Duty{auth.ChangePassword}, Tier: auth.TierVIP,
	}
}

func issuer(t *testing.T, keys *memory.SigningKeys) *jose.TokenIssuer {
	t.Helper()
	i, err := jose.NewIssuer(t.Context(), keys, auth.DefaultKeys(), clockAt(noon), newID)
	require.NoError(t, err)
	return i
}

func verifierOf(i *jose.TokenIssuer) *jose.Verifier {
	return jose.NewVerifier(func(context.Context) ([]byte, error) { return i.JWKS(), nil })
}

func TestIssueAndVerify(t *testing.T) {
	t.Parallel()
	i := issuer(t, &memory.SigningKeys{})
	v := verifierOf(i)
	p := customer(t)
	token, err := i.Issue(t.Context(), p, noon)
	require.NoError(t, err)
	for range 2 { // the second time from memory
		got, err := v.Verify(t.Context(), token.Reveal(), noon.Add(time.Minute))
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
	_, err = v.Verify(t.Context(), token.Reveal(), p.ExpiresAt)
	require.ErrorIs(t, err, fault.New(fault.TokenExpired))
	require.NotContains(t, string(i.JWKS()), `"d"`, "the private key is published")
}

func TestIssuersShareTheFirstKey(t *testing.T) {
	t.Parallel()
	keys := &memory.SigningKeys{}
	one, two := issuer(t, keys), issuer(t, keys)
	token, err := one.Issue(t.Context(), customer(t), noon)
	require.NoError(t, err)
	_, err = verifierOf(two).Verify(t.Context(), token.Reveal(), noon)
	require.NoError(t, err)
}

// forge signs any header and claims with any key, which our issuer never would.
func forge(t *testing.T, head, body map[string]any, sign func([]byte) []byte) string {
	t.Helper()
	part := func(v any) string {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	input := part(head) + "." + part(body)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	keys := &memory.SigningKeys{}
	v := verifierOf(issuer(t, keys))
	list, err := keys.List(t.Context())
	require.NoError(t, err)
	private := ed25519.NewKeyFromSeed([]byte(list[0].Seed.Reveal()))
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	public, ok := private.Public().(ed25519.PublicKey)
	require.True(t, ok)

	head := func(edit map[string]any) map[string]any {
		h := map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": list[0].KeyID}
		for k, x := range edit {
			h[k] = x
		}
		return h
	}
	body := func(edit map[string]any) map[string]any {
		b := map[string]any{
			"iss": "phonebill-auth", "aud": "phonebill-api", "sub": "hong", "sid": newID().String(), "jti": "1",
			"iat": noon.Unix(), "exp": noon.Add(time.Minute).Unix(), "lines": []string{"01012345678"},
		}
		for k, x := range edit {
			b[k] = x
		}
		return b
	}
	ours := func(in []byte) []byte { return ed25519.Sign(private, in) }
	_, err = v.Verify(t.Context(), forge(t, head(nil), body(nil), ours), noon)
	require.NoError(t, err, "the untouched forgery must pass, or the table proves nothing")

	for name, token := range map[string]string{
		"empty":            "",
		"not a token":      "a.b.c",
		"not json":         base64.RawURLEncoding.EncodeToString([]byte("{")) + ".e30.e30",
		"too long":         strings.Repeat("a", 9000),
		"alg none":         forge(t, head(map[string]any{"alg": "none"}), body(nil), func([]byte) []byte { return nil }),
		"alg HS256 by pub": forge(t, head(map[string]any{"alg": "HS256"}), body(nil), hmacBy(public)),
		"typ JWT":          forge(t, head(map[string]any{"typ": "JWT"}), body(nil), ours),
		"no kid":           forge(t, head(map[string]any{"kid": ""}), body(nil), ours),
		"unknown kid":      forge(t, head(map[string]any{"kid": "x"}), body(nil), ours),
		"stranger's key":   forge(t, head(nil), body(nil), func(in []byte) []byte { return ed25519.Sign(stranger, in) }),
		"iss":              forge(t, head(nil), body(map[string]any{"iss": "evil"}), ours),
		"aud":              forge(t, head(nil), body(map[string]any{"aud": "other"}), ours),
		"two auds":         forge(t, head(nil), body(map[string]any{"aud": []string{"phonebill-api", "x"}}), ours),
		"no jti":           forge(t, head(nil), body(map[string]any{"jti": ""}), ours),
		"iat in future":    forge(t, head(nil), body(map[string]any{"iat": noon.Add(time.Hour).Unix()}), ours),
		"lives too long": forge(t, head(nil), body(map[string]any{"exp": noon.Add(30*time.Minute + time.Second).Unix()}),
			ours),
		"negative epoch":   forge(t, head(nil), body(map[string]any{"epoch": -1}), ours),
		"jwk in the head":  forge(t, head(map[string]any{"kid": "", "jwk": jwkOf(stranger)}), body(nil), by(stranger)),
		"jwk beside a kid": forge(t, head(map[string]any{"jwk": jwkOf(stranger)}), body(nil), by(stranger)),
		"crit":             forge(t, head(map[string]any{"crit": []string{"exp"}}), body(nil), ours),
		"lives for days":   forge(t, head(nil), body(map[string]any{"exp": noon.Add(48 * time.Hour).Unix()}), ours),
		"bad sid":          forge(t, head(nil), body(map[string]any{"sid": "1"}), ours),
		"bad line":         forge(t, head(nil), body(map[string]any{"lines": []string{"1"}}), ours),
		"bad type":         forge(t, head(nil), body(map[string]any{"exp": "tomorrow"}), ours),
	} {
		_, err := v.Verify(t.Context(), token, noon)
		require.ErrorIs(t, err, fault.New(fault.TokenInvalid), name)
	}
	_, err = v.Verify(t.Context(), forge(t, head(nil), body(map[string]any{"exp": noon.Add(-time.Second).Unix()}), ours),
		noon)
	require.ErrorIs(t, err, fault.New(fault.TokenExpired))
}

func by(key ed25519.PrivateKey) func([]byte) []byte {
	return func(in []byte) []byte { return ed25519.Sign(key, in) }
}

func jwkOf(key ed25519.PrivateKey) map[string]string {
	pub, _ := key.Public().(ed25519.PublicKey)
	return map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(pub)}
}

func hmacBy(key []byte) func([]byte) []byte {
	return func(in []byte) []byte {
		m := hmac.New(sha256.New, key)
		_, _ = m.Write(in)
		return m.Sum(nil)
	}
}

func TestUnknownKidAsksRarely(t *testing.T) {
	t.Parallel()
	i := issuer(t, &memory.SigningKeys{})
	fetches := 0
	v := jose.NewVerifier(func(context.Context) ([]byte, error) { fetches++; return i.JWKS(), nil })
	other := issuer(t, &memory.SigningKeys{})
	foreign, err := other.Issue(t.Context(), customer(t), noon)
	require.NoError(t, err)
	for range 50 {
		_, err := v.Verify(t.Context(), foreign.Reveal(), noon)
		require.ErrorIs(t, err, fault.New(fault.TokenInvalid))
	}
	require.Equal(t, 1, fetches)
	_, err = v.Verify(t.Context(), foreign.Reveal(), noon.Add(6*time.Second))
	require.ErrorIs(t, err, fault.New(fault.TokenInvalid))
	require.Equal(t, 2, fetches)
}

func TestRemovedKidIsRefusedThoughRemembered(t *testing.T) {
	t.Parallel()
	before, after := issuer(t, &memory.SigningKeys{}), issuer(t, &memory.SigningKeys{})
	now := before
	v := jose.NewVerifier(func(context.Context) ([]byte, error) { return now.JWKS(), nil })
	token, err := before.Issue(t.Context(), customer(t), noon)
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), token.Reveal(), noon)
	require.NoError(t, err)
	now = after
	require.NoError(t, v.Refresh(t.Context()))
	_, err = v.Verify(t.Context(), token.Reveal(), noon)
	require.ErrorIs(t, err, fault.New(fault.TokenInvalid))
}

func TestWithoutKeysIsUnavailableNotInvalid(t *testing.T) {
	t.Parallel()
	token, err := issuer(t, &memory.SigningKeys{}).Issue(t.Context(), customer(t), noon)
	require.NoError(t, err)
	down := jose.NewVerifier(func(context.Context) ([]byte, error) { return nil, errors.New("auth is down") })
	for range 2 { // fetching, and too soon to fetch again
		_, err = down.Verify(t.Context(), token.Reveal(), noon)
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	}
	require.False(t, down.Ready())
	nonsense := jose.NewVerifier(func(context.Context) ([]byte, error) { return []byte("<html>"), nil })
	require.Error(t, nonsense.Refresh(t.Context()))
}

func TestRefreshTokens(t *testing.T) {
	t.Parallel()
	tokens := jose.NewRefreshTokens(memory.Vault{})
	sid := newID()
	token := tokens.Make(sid, 7)
	require.Equal(t, token, tokens.Make(sid, 7), "the successor must be recomputable (ADR 15)")
	require.NotEqual(t, token, tokens.Make(sid, 8))
	gotSID, generation, err := tokens.Read(token)
	require.NoError(t, err)
	require.Equal(t, sid, gotSID)
	require.Equal(t, 7, generation)

	clear := token.Reveal()
	for n := range clear {
		flipped := []byte(clear)
		flipped[n] ^= 1
		_, _, err := tokens.Read(personal.NewSecret(string(flipped)))
		require.ErrorIsf(t, err, fault.New(fault.RefreshTokenInvalid), "byte %d flipped", n)
	}
	for _, bad := range []string{"", "r1.", clear + "A", "x" + clear[1:]} {
		_, _, err := tokens.Read(personal.NewSecret(bad))
		require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid))
	}
}
