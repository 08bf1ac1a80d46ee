package allinone_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	reference "golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"phonebill/adapters/credentials"
	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/auth"
	"phonebill/core/personal"
)

// newAccount makes an account of the test's own.
func newAccount(t *testing.T, user string) devstack.Login {
	t.Helper()
	keys, err := vault.Open(filepath.Join(running.dir, "keyring.json"))
	require.NoError(t, err)
	pool, err := postgres.Pool(t.Context(), running.Databases["auth"], postgres.PoolConfig{Name: "test"})
	require.NoError(t, err)
	defer pool.Close()
	who := devstack.Login{UserID: user, Password: "old-secret-horse"}
	hash, err := credentials.NewHasher(credentials.DefaultHashParams()).Hash(t.Context(), personal.NewSecret(who.Password))
	require.NoError(t, err)
	require.NoError(t, postgres.NewUsers(pool, keys).Create(t.Context(), auth.User{
		UserID: auth.UserID(user), PasswordHash: hash, Status: auth.Active, Roles: []auth.Role{auth.Customer},
		CreatedAt: time.Now(),
	}))
	return who
}

// loginWith logs in through the gateway with cookies at hand.
func loginWith(t *testing.T, who devstack.Login, cookies ...*http.Cookie) (reply, []*http.Cookie) {
	t.Helper()
	raw, err := json.Marshal(map[string]string{"userId": who.UserID, "password": who.Password})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, running.BaseURL+"/api/v1/auth/login",
		bytes.NewReader(raw))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	for _, c := range cookies {
		req.AddCookie(c)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, errors.Join(err, res.Body.Close()))
	r := reply{status: res.StatusCode, header: res.Header, raw: string(body)}
	require.NoError(t, json.Unmarshal(body, &r.body))
	return r, res.Cookies()
}

func TestAKnownDeviceIsNotLockedOutByStrangers(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := newAccount(t, "device-owner")
	first, cookies := loginWith(t, who)
	require.Equal(t, http.StatusOK, first.status, first.raw)
	require.Len(t, cookies, 1)
	c := cookies[0]
	require.Regexp(t, "^phonebill_device_[0-9a-f]{8}$", c.Name)
	require.Equal(t, "/api/v1/auth", c.Path)
	require.True(t, c.HttpOnly)
	require.False(t, c.Secure, "plain HTTP on loopback")
	require.Equal(t, http.SameSiteLaxMode, c.SameSite)
	require.Equal(t, 365*24*60*60, c.MaxAge)

	stranger := devstack.Login{UserID: who.UserID, Password: "wrong-secret-horse"}
	for range 5 {
		first, _ = loginWith(t, stranger)
	}
	require.Equal(t, "AUTH_002", first.body.Error.Code)
	locked, _ := loginWith(t, who)
	require.Equal(t, "AUTH_003", locked.body.Error.Code)
	again, renewed := loginWith(t, who, &http.Cookie{Name: "phonebill_device_00000000", Value: "d1.other"}, c)
	require.Equal(t, http.StatusOK, again.status, again.raw)
	require.Equal(t, c.Value, renewed[0].Value)
}

func TestAChangeOfPasswordEndsTheOtherSessions(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := newAccount(t, "password-owner")
	here, there := login(t, who), login(t, who)
	change := func(current, next string) reply {
		return call(t, http.MethodPost, "/auth/password", here, map[string]string{
			"currentPassword": current, "newPassword": next,
		})
	}
	for _, bad := range []string{
		"short", "password1", "my-Password-Owner-key", who.Password, "        ", strings.Repeat("\u200b", 10),
		strings.Repeat("가", 12),
		"tab\tand-more-of-it", norm.NFD.String("각각각"), norm.NFD.String(strings.Repeat("각난", 33)),
	} {
		r := change(who.Password, bad)
		require.Equal(t, http.StatusBadRequest, r.status, r.raw)
		require.Equal(t, "newPassword", r.body.Error.Fields[0].Field)
	}
	wrong := change("wrong-secret-horse", "새로운 비밀 열쇠 🔑")
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status,
		"401 would tell a client to log in again: %s", wrong.raw)
	require.Equal(t, "REAUTHENTICATION_FAILED AUTH_001", wrong.refusal())
	require.Equal(t, "currentPassword", wrong.body.Error.Fields[0].Field)
	r := change(who.Password, "새로운 비밀 열쇠 🔑")
	require.Equal(t, http.StatusOK, r.status, r.raw)
	atOnce := callAt(t, running.Services["auth"]+"/api/v1", http.MethodGet, "/auth/verify", there, nil)
	require.Equal(t, "TOKEN_REVOKED", atOnce.body.Error.Code)
	require.Eventually(t, func() bool {
		return call(t, http.MethodGet, "/auth/verify", there, nil).body.Error.Code == "TOKEN_REVOKED"
	}, 2*time.Second, 20*time.Millisecond)
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/auth/verify", here, nil).status, "this session stays")
	old, _ := loginWith(t, who)
	require.Equal(t, "AUTH_001", old.body.Error.Code)
	who.Password = "새로운 비밀 열쇠 🔑"
	login(t, who)
}

// TestAPasswordMatchesInAnyNormalForm: 29 syllables are as many in NFD, and log in from a device that sends NFC. A hash
// that was made elsewhere of the NFD bytes is found as well, and renewed.
func TestAPasswordMatchesInAnyNormalForm(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := newAccount(t, "nfd-owner")
	token := login(t, who)
	composed := strings.Repeat("각하의열쇠", 6)[:29*len("각")]
	r := call(t, http.MethodPost, "/auth/password", token, map[string]string{
		"currentPassword": who.Password, "newPassword": norm.NFD.String(composed),
	})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	for _, spelling := range []string{composed, norm.NFD.String(composed)} {
		who.Password = spelling
		login(t, who)
	}

	salt := make([]byte, 16)
	key := reference.IDKey([]byte(norm.NFD.String(composed)), salt, 2, 19456, 1, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	users, _ := authStore(t)
	_, err := users.Change(t.Context(), "nfd-owner", func(u auth.User) (auth.User, error) {
		u.PasswordHash = personal.NewSecret("$argon2id$v=19$m=19456,t=2,p=1$" + b64(salt) + "$" + b64(key))
		return u, nil
	})
	require.NoError(t, err)
	for _, spelling := range []string{norm.NFD.String(composed), composed} {
		who.Password = spelling
		login(t, who)
	}
}

// TestAnIDIsOneAccountInAnyCase: at log-in, for whether it is taken, in the search of staff, on the command line.
func TestAnIDIsOneAccountInAnyCase(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := newAccount(t, "case-owner")
	typed := devstack.Login{UserID: "Case-Owner", Password: who.Password}
	token := login(t, typed)
	require.Equal(t, "case-owner", call(t, http.MethodGet, "/auth/user-info", token, nil).text("userId"))
	admin := login(t, running.Admin)
	r := call(t, http.MethodGet, "/admin/users?userId=CASE-OWNER", admin, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Contains(t, r.raw, `"userId":"case-owner"`)
	r = call(t, http.MethodPost, "/admin/users", admin, map[string]any{
		"userId": "Case-owner", "password": strongPassword, "userName": "홍길동", "roles": []string{"CUSTOMER"},
		"reason": "신규 개통",
	})
	require.Equal(t, http.StatusConflict, r.status, r.raw)
	require.Equal(t, "userId", r.body.Error.Fields[0].Field)
	out, _, err := command(t, "", "users", "clashes")
	require.NoError(t, err)
	require.Equal(t, "no two accounts differ in the case of their ids alone\n", out)
	for n, wrong := range []string{"CASE-owner", "case-OWNER", "Case-Owner", "cAse-owner", "case-owner"} {
		r, _ := loginWith(t, devstack.Login{UserID: wrong, Password: "wrong-secret-horse"})
		require.Equal(t, map[bool]string{true: "AUTH_002", false: "AUTH_001"}[n == 4], r.body.Error.Code)
	}
}
