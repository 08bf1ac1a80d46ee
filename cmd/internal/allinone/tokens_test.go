package allinone_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/credentials"
	"phonebill/adapters/jose"
	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/auth"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
)

// store is the auth service's database, opened once.
var store = sync.OnceValues(func() (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(running.Databases["auth"])
	if err != nil {
		return nil, err
	}
	return pgxpool.NewWithConfig(context.Background(), config)
})

// authStore returns the auth service's stores, which a test changes as an administrator's command does.
func authStore(t *testing.T) (*postgres.Users, *postgres.SigningKeys) {
	t.Helper()
	pool, err := store()
	require.NoError(t, err)
	keyring := ring(t)
	return postgres.NewUsers(pool, keyring), postgres.NewSigningKeys(pool, keyring)
}

func ring(t *testing.T) ports.Vault {
	t.Helper()
	keyring, err := vault.Open(filepath.Join(running.dir, "keyring.json"))
	require.NoError(t, err)
	return keyring
}

// newcomer is a customer of the test's own.
func newcomer(t *testing.T) devstack.Login {
	t.Helper()
	users, _ := authStore(t)
	l := devstack.Login{UserID: "new-" + strings.ToLower(rand.Text()[:12]), Password: rand.Text()}
	l.LineNumber = fmt.Sprintf("0107781%04d", lines.Add(1))
	hash, err := credentials.NewHasher(credentials.DefaultHashParams()).Hash(t.Context(), personal.NewSecret(l.Password))
	require.NoError(t, err)
	n, err := line.Parse(l.LineNumber)
	require.NoError(t, err)
	require.NoError(t, users.Create(t.Context(), auth.User{
		UserID: auth.UserID(l.UserID), PasswordHash: hash, Name: personal.NewName("새고객"), Phone: n,
		CustomerID: "C-" + l.UserID,
		Lines:      []line.Number{n}, Roles: []auth.Role{auth.Customer}, Status: auth.Active, CreatedAt: time.Now(),
		Grants: []auth.Grant{{Permission: auth.BillInquiry}, {Permission: auth.ProductChange}},
	}))
	return l
}

// enter logs in and returns both tokens and the session's id.
func enter(t *testing.T, l devstack.Login) (access, refresh, sid string) {
	t.Helper()
	r := call(t, http.MethodPost, "/auth/login", "", map[string]string{"userId": l.UserID, "password": l.Password})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	access = r.text("accessToken")
	sid, _ = claimsOf(t, access)["sid"].(string)
	return access, r.text("refreshToken"), sid
}

// TestASpentRefreshTokenWithinItsGraceGetsTheNewestPair: r1→r2→r3, then r1 again.
func TestASpentRefreshTokenWithinItsGraceGetsTheNewestPair(t *testing.T) {
	t.Parallel()
	needSystem(t)
	_, first, _ := enter(t, newcomer(t))
	renew := func(token string) string {
		t.Helper()
		r := call(t, http.MethodPost, "/auth/refresh", "", map[string]string{"refreshToken": token})
		require.Equal(t, http.StatusOK, r.status, r.raw)
		return r.text("refreshToken")
	}
	third := renew(renew(first))
	require.Equal(t, third, renew(first))
	require.NotEqual(t, third, renew(third), "the family lives on")
}

func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	var c map[string]any
	require.NoError(t, json.Unmarshal(raw, &c))
	return c
}

// sign makes any token whatever.
func sign(t *testing.T, head, body map[string]any, by func([]byte) []byte) string {
	t.Helper()
	part := func(v any) string {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	input := part(head) + "." + part(body)
	return input + "." + base64.RawURLEncoding.EncodeToString(by([]byte(input)))
}

func with(m map[string]any, edit map[string]any) map[string]any {
	out := maps.Clone(m)
	maps.Copy(out, edit)
	return out
}

func signer(key ed25519.PrivateKey) func([]byte) []byte {
	return func(in []byte) []byte { return ed25519.Sign(key, in) }
}

// places are where a token is tried: through the gateway and at each service itself.
func places() map[string]string {
	return map[string]string{
		running.BaseURL: "/bills/menu", running.Services["auth"]: "/auth/permissions",
		running.Services["bill"]:    "/bills/menu",
		running.Services["product"]: "/products/history",
	}
}

// refused waits until every place responds with 401 and the code.
func refused(t *testing.T, token, code string) {
	t.Helper()
	for base, path := range places() {
		require.Eventually(t, func() bool {
			r := callAt(t, base+"/api/v1", http.MethodGet, path, token, nil)
			return r.status == http.StatusUnauthorized && r.body.Error.Code == code
		}, 20*time.Second, 20*time.Millisecond, "%s%s does not answer %s", base, path, code)
	}
}

func accepted(t *testing.T, token string) {
	t.Helper()
	for base, path := range places() {
		r := callAt(t, base+"/api/v1", http.MethodGet, path, token, nil)
		require.Equal(t, http.StatusOK, r.status, r.raw)
	}
}

// TestTokensThatMustNotWork is the one table of what is refused, forged with the issuer's own key where that is needed.
func TestTokensThatMustNotWork(t *testing.T) {
	t.Parallel()
	needSystem(t)
	someone := newcomer(t)
	good, refresh, _ := enter(t, someone)
	_, keys := authStore(t)
	held, err := keys.List(t.Context())
	require.NoError(t, err)
	current, ok := auth.DefaultKeys().Signer(held, time.Now())
	require.True(t, ok)
	private := ed25519.NewKeyFromSeed([]byte(current.Seed.Reveal()))
	public, ok := private.Public().(ed25519.PublicKey)
	require.True(t, ok)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ours := signer(private)
	byPublicKey := func(in []byte) []byte {
		m := hmac.New(sha256.New, public)
		_, _ = m.Write(in)
		return m.Sum(nil)
	}
	nobody := func([]byte) []byte { return nil }
	head := map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": current.KeyID}
	elsewhere := map[string]any{"kid": "x", "jku": running.BaseURL + "/x"}
	body := claimsOf(t, good)
	lasting := func(from, to time.Duration) map[string]any {
		return map[string]any{"iat": time.Now().Add(from).Unix(), "exp": time.Now().Add(to).Unix()}
	}
	foreign, ok := stranger.Public().(ed25519.PublicKey)
	require.True(t, ok)
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(foreign)}

	accepted(t, sign(t, head, body, ours)) // else the table proves nothing
	for name, c := range map[string]struct{ token, code string }{
		"alg none": {sign(t, with(head, map[string]any{"alg": "none"}), body, nobody), "TOKEN_INVALID"},
		"alg None": {sign(t, with(head, map[string]any{"alg": "None"}), body, ours), "TOKEN_INVALID"},
		"alg HS256 with the public key": {sign(t, with(head, map[string]any{"alg": "HS256"}), body, byPublicKey),
			"TOKEN_INVALID"},
		"no signature":            {strings.Join(strings.Split(good, ".")[:2], ".") + ".", "TOKEN_INVALID"},
		"another's signature":     {sign(t, head, body, signer(stranger)), "TOKEN_INVALID"},
		"key in the header":       {sign(t, with(head, map[string]any{"jwk": jwk}), body, signer(stranger)), "TOKEN_INVALID"},
		"key elsewhere":           {sign(t, with(head, elsewhere), body, signer(stranger)), "TOKEN_INVALID"},
		"unknown kid":             {sign(t, with(head, map[string]any{"kid": "x"}), body, ours), "TOKEN_INVALID"},
		"wrong iss":               {sign(t, head, with(body, map[string]any{"iss": "evil"}), ours), "TOKEN_INVALID"},
		"wrong aud":               {sign(t, head, with(body, map[string]any{"aud": "other"}), ours), "TOKEN_INVALID"},
		"wrong typ":               {sign(t, with(head, map[string]any{"typ": "JWT"}), body, ours), "TOKEN_INVALID"},
		"expired":                 {sign(t, head, with(body, lasting(-25*time.Minute, -time.Minute)), ours), "TOKEN_EXPIRED"},
		"future iat":              {sign(t, head, with(body, lasting(time.Hour, 80*time.Minute)), ours), "TOKEN_INVALID"},
		"lives too long":          {sign(t, head, with(body, lasting(0, time.Hour)), ours), "TOKEN_INVALID"},
		"refresh token as bearer": {refresh, "TOKEN_INVALID"},
		"garbage":                 {"garbage", "TOKEN_INVALID"},
		"three dots":              {"a.b.c", "TOKEN_INVALID"},
		"oversize":                {good + strings.Repeat("A", 9000), "TOKEN_INVALID"},
		"one bit flipped":         {good[:len(good)-10] + string(good[len(good)-10]^1) + good[len(good)-9:], "TOKEN_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for base, path := range places() {
				r := callAt(t, base+"/api/v1", http.MethodGet, path, c.token, nil)
				require.Equal(t, http.StatusUnauthorized, r.status, base+" "+r.raw)
				require.Equal(t, c.code, r.body.Error.Code, base)
				require.NotContains(t, r.raw, "jose", "nothing of our insides")
			}
		})
	}
}

// TestARemovedKeyIsRefusedEverywhere publishes a key ahead, as a rotation does, and removes it again.
func TestARemovedKeyIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	needSystem(t)
	good, _, _ := enter(t, newcomer(t))
	_, keys := authStore(t)
	held, err := keys.List(t.Context())
	require.NoError(t, err)
	next := jose.NewKey()
	next.CreatedAt = time.Now()
	next.ActiveAt = next.CreatedAt.Add(365 * 24 * time.Hour)
	require.NoError(t, keys.AddNext(t.Context(), next, held[0].KeyID))
	head := map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": next.KeyID}
	token := sign(t, head, claimsOf(t, good), signer(ed25519.NewKeyFromSeed([]byte(next.Seed.Reveal()))))
	for base, path := range places() {
		require.Eventually(t, func() bool {
			return callAt(t, base+"/api/v1", http.MethodGet, path, token, nil).status == http.StatusOK
		}, 20*time.Second, 20*time.Millisecond, "without a restart, the new key is known at %s", base)
	}
	require.NoError(t, keys.Retire(t.Context(), next.KeyID, time.Now()))
	refused(t, token, "TOKEN_INVALID")
	accepted(t, good)
	require.Eventually(t, func() bool {
		res, err := http.Get(running.BaseURL + "/.well-known/jwks.json")
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		require.Equal(t, "public, max-age=300", res.Header.Get("Cache-Control"))
		var set struct{ Keys []struct{ KID string } }
		require.NoError(t, json.NewDecoder(res.Body).Decode(&set))
		for _, k := range set.Keys {
			if k.KID == next.KeyID {
				return false
			}
		}
		return len(set.Keys) > 0
	}, 20*time.Second, 50*time.Millisecond)
}

// TestAChangeOfRightsKillsTheTokensButNotTheSession takes a permission away: the old token dies everywhere, refreshing
// gives one with the new rights.
func TestAChangeOfRightsKillsTheTokensButNotTheSession(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := newcomer(t)
	token, refresh, _ := enter(t, who)
	accepted(t, token)
	users, _ := authStore(t)
	_, err := users.Change(t.Context(), auth.UserID(who.UserID), func(u auth.User) (auth.User, error) {
		u.Grants = []auth.Grant{{Permission: auth.BillInquiry}}
		return u, nil
	})
	require.NoError(t, err)
	refused(t, token, "TOKEN_REVOKED")
	r := call(t, http.MethodPost, "/auth/refresh", "", map[string]string{"refreshToken": refresh})
	require.Equal(t, http.StatusOK, r.status, "the session lives on")
	token = r.text("accessToken")
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/bills/menu", token, nil).status)
	require.Equal(t, http.StatusForbidden, call(t, http.MethodGet, "/products/history", token, nil).status)
}

// TestASuspendedUserIsOutAtOnce covers every grant: the access token, the refresh, the login.
func TestASuspendedUserIsOutAtOnce(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := newcomer(t)
	token, refresh, _ := enter(t, who)
	users, _ := authStore(t)
	_, err := users.Change(t.Context(), auth.UserID(who.UserID), func(u auth.User) (auth.User, error) {
		u.Status = auth.Suspended
		return u, nil
	})
	require.NoError(t, err)
	r := call(t, http.MethodPost, "/auth/refresh", "", map[string]string{"refreshToken": refresh})
	require.Equal(t, http.StatusUnauthorized, r.status)
	require.Equal(t, "REFRESH_TOKEN_INVALID", r.body.Error.Code)
	refused(t, token, "TOKEN_REVOKED")
	r = call(t, http.MethodPost, "/auth/login", "", map[string]string{"userId": who.UserID, "password": who.Password})
	require.Equal(t, http.StatusForbidden, r.status)
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := newcomer(t)
	first, _, firstID := enter(t, who)
	second, secondRefresh, secondID := enter(t, who)
	third, _, _ := enter(t, who)
	_, _, foreign := enter(t, newcomer(t))

	r := call(t, http.MethodGet, "/auth/sessions", second, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	list, ok := r.data("sessions").([]any)
	require.True(t, ok)
	require.Len(t, list, 3)
	one, ok := list[1].(map[string]any)
	require.True(t, ok)
	require.Equal(t, map[string]any{
		"sid": secondID, "device": "Go-http-client", "ip": "127.0.0.*", "current": true, "autoLogin": false,
		"createdAt":  one["createdAt"],
		"lastSeenAt": one["lastSeenAt"], "endsAt": later(t, one["createdAt"], 24*time.Hour),
		"idleEndsAt": later(t, one["lastSeenAt"], 30*time.Minute),
	}, one)

	for _, sid := range []string{foreign, "018f0000-0000-7000-8000-000000000000"} {
		r = call(t, http.MethodDelete, "/auth/sessions/"+sid, second, nil)
		require.Equal(t, http.StatusNotFound, r.status, r.raw)
	}
	require.Equal(t, http.StatusBadRequest, call(t, http.MethodDelete, "/auth/sessions/42", second, nil).status)
	r = call(t, http.MethodDelete, "/auth/sessions/"+firstID, second, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	refused(t, first, "TOKEN_REVOKED")
	r = call(t, http.MethodDelete, "/auth/sessions", second, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	refused(t, third, "TOKEN_REVOKED")
	accepted(t, second)
	r = call(t, http.MethodDelete, "/auth/sessions/"+secondID, second, nil)
	require.Equal(t, http.StatusOK, r.status, "one's own is a log-out")
	refused(t, second, "TOKEN_REVOKED")
	r = call(t, http.MethodPost, "/auth/refresh", "", map[string]string{"refreshToken": secondRefresh})
	require.Equal(t, http.StatusUnauthorized, r.status)

	pool, err := store()
	require.NoError(t, err)
	var ended, loggedOut int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE type = 'SESSION_ENDED'),
		count(*) FILTER (WHERE type = 'LOGOUT') FROM login_history WHERE user_id = $1`, who.UserID).Scan(&ended, &loggedOut))
	require.Equal(t, []int{2, 1}, []int{ended, loggedOut})
}

// TestTheEleventhDeviceEndsTheFirst: sessions per user are capped (S-DEVICES).
func TestTheEleventhDeviceEndsTheFirst(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := newcomer(t)
	first, refresh, _ := enter(t, who)
	var last string
	for range 10 {
		last, _, _ = enter(t, who)
	}
	refused(t, first, "TOKEN_REVOKED")
	for _, base := range bases("bill") {
		r := callAt(t, base+"/api/v1", http.MethodGet, "/bills/menu", first, nil)
		require.Equal(t, "NEWER_DEVICE", r.body.Error.Details["reason"], "%s tells why: %s", base, r.raw)
	}
	r := call(t, http.MethodPost, "/auth/refresh", "", map[string]string{"refreshToken": refresh})
	require.Equal(t, "REFRESH_TOKEN_INVALID", r.body.Error.Code)
	require.Equal(t, "NEWER_DEVICE", r.body.Error.Details["reason"])
	list, _ := call(t, http.MethodGet, "/auth/sessions", last, nil).data("sessions").([]any)
	require.Len(t, list, 10)
}

// later is a time of an answer and some.
func later(t *testing.T, at any, more time.Duration) string {
	t.Helper()
	text, _ := at.(string)
	moment, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return moment.Add(more).Format(time.RFC3339Nano)
}

// TestTheInternalAPIWantsItsToken: without it the internal listener shows nothing of sessions.
func TestTheInternalAPIWantsItsToken(t *testing.T) {
	t.Parallel()
	needSystem(t)
	internal := strings.TrimSuffix(running.Metrics["auth"], "/metrics")
	for path, method := range map[string]string{
		"/internal/v1/revocations": http.MethodGet, "/internal/v1/sessions/used": http.MethodPost,
	} {
		for _, header := range []string{"", "Bearer wrong"} {
			req, err := http.NewRequestWithContext(t.Context(), method, internal+path, strings.NewReader("[]"))
			require.NoError(t, err)
			req.Header.Set("Authorization", header)
			res, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusUnauthorized, res.StatusCode)
		}
	}
}
