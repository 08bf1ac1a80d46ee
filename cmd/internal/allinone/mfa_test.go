package allinone_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/devstack"
)

func tryLogin(t *testing.T, c devstack.Login, otp string) reply {
	t.Helper()
	body := map[string]string{"userId": c.UserID, "password": c.Password}
	if otp != "" {
		body["otp"] = otp
	}
	return call(t, http.MethodPost, "/auth/login", "", body)
}

// A customer enrols, logs in with codes and recovery codes, each good once, and removes the second factor again.
func TestSecondFactorOfACustomer(t *testing.T) {
	t.Parallel()
	needSystem(t)
	c := customer(t, "normal", 3) // no other test logs in with it
	token := login(t, c)
	password := map[string]string{"password": c.Password}
	r := call(t, http.MethodPost, "/auth/mfa/totp", token, map[string]string{"password": "not-the-password"})
	require.Equal(t, http.StatusUnprocessableEntity, r.status, r.raw)
	require.Equal(t, "REAUTHENTICATION_FAILED AUTH_001", r.refusal())
	r = call(t, http.MethodPost, "/auth/mfa/totp/confirm", token, map[string]string{"otp": "123456"})
	require.Equal(t, http.StatusConflict, r.status, "nothing was begun: %s", r.raw)
	r = call(t, http.MethodPost, "/auth/mfa/totp", token, password)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	secret := r.text("secret")
	require.Contains(t, r.text("otpauthUri"), secret)
	require.Equal(t, http.StatusOK, tryLogin(t, c, "").status, "it does not count before it is confirmed")
	r = call(t, http.MethodPost, "/auth/mfa/totp/confirm", token, map[string]string{"otp": code(t, secret, 4)})
	require.Equal(t, http.StatusUnprocessableEntity, r.status, r.raw)
	require.Equal(t, "REAUTHENTICATION_FAILED AUTH_004", r.refusal())
	r = call(t, http.MethodPost, "/auth/mfa/totp/confirm", token, map[string]string{"otp": code(t, secret, 0)})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	recovery, ok := r.data("recoveryCodes").([]any)
	require.True(t, ok)
	require.Len(t, recovery, 10)

	r = tryLogin(t, c, "")
	require.Equal(t, "AUTH_004", r.body.Error.Code, r.raw)
	require.Equal(t, "otp", r.body.Error.Fields[0].Field)
	r = tryLogin(t, c, code(t, secret, 0))
	require.Equal(t, "AUTH_004", r.body.Error.Code, "confirming used that code: %s", r.raw)
	next := code(t, secret, 1)
	require.Equal(t, http.StatusOK, tryLogin(t, c, next).status)
	require.Equal(t, "AUTH_004", tryLogin(t, c, next).body.Error.Code, "a code is accepted once")
	spare, _ := recovery[0].(string)
	spare = strings.ToUpper(spare) // as a person may type it
	require.Equal(t, http.StatusOK, tryLogin(t, c, spare).status)
	require.Equal(t, "AUTH_004", tryLogin(t, c, spare).body.Error.Code, "a recovery code too")
	r = tryLogin(t, c, "12345")
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Equal(t, "otp", r.body.Error.Fields[0].Field)

	// A session from before the enrolment and the password are not enough to change or remove it, or the password.
	for _, try := range [][2]string{{http.MethodPost, "/auth/mfa/totp"}, {http.MethodDelete, "/auth/mfa/totp"}} {
		r = call(t, try[0], try[1], token, password)
		require.Equal(t, "REAUTHENTICATION_FAILED AUTH_004", r.refusal(), r.raw)
	}
	r = call(t, http.MethodPost, "/auth/password", token, map[string]string{
		"currentPassword": c.Password, "newPassword": strongPassword,
	})
	require.Equal(t, "REAUTHENTICATION_FAILED", r.body.Error.Code, r.raw)
	with := func(n int) map[string]string {
		spare, _ := recovery[n].(string)
		return map[string]string{"password": c.Password, "otp": spare}
	}
	r = call(t, http.MethodPost, "/auth/mfa/totp", token, with(1))
	require.Equal(t, http.StatusOK, r.status, "it is changed with a code: %s", r.raw)
	r = call(t, http.MethodDelete, "/auth/mfa/totp", token, with(2))
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Equal(t, http.StatusOK, tryLogin(t, c, "").status)
}

func TestStaffNeedASecondFactor(t *testing.T) {
	t.Parallel()
	needSystem(t)
	c := running.Operator
	token := login(t, c)
	r := tryLogin(t, c, "")
	require.Equal(t, "AUTH_004", r.body.Error.Code, r.raw)
	r = call(t, http.MethodDelete, "/auth/mfa/totp", token, map[string]string{"password": c.Password})
	require.Equal(t, http.StatusConflict, r.status, r.raw)
}

// TestStaffEnrolAnewAtTheirFirstLogin: until then the maker of the account knows its password and factor.
func TestStaffEnrolAnewAtTheirFirstLogin(t *testing.T) {
	t.Parallel()
	needSystem(t)
	r := call(t, http.MethodPost, "/admin/users", login(t, running.Admin), fields{
		"userId": "mfa-newop", "password": initialPassword, "userName": "김운영", "roles": []string{"OPERATOR"},
		"reason": "운영팀 입사",
	})
	require.Equal(t, http.StatusCreated, r.status, r.raw)
	made := r.text("enrolment", "secret")
	c := devstack.Login{UserID: "mfa-newop", Password: initialPassword}
	r = tryLogin(t, c, code(t, made, 0))
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Equal(t, []any{"CHANGE_PASSWORD", "ENROL_SECOND_FACTOR"}, r.data("duties"))
	token, refresh := r.text("accessToken"), r.text("refreshToken")
	refused := func(method, path string, body any, want string) {
		t.Helper()
		r := call(t, method, path, token, body)
		require.Equal(t, want, r.body.Error.Code, r.raw)
		require.Equal(t, http.StatusForbidden, r.status)
	}
	next := func(path string, body any) {
		t.Helper()
		r = call(t, http.MethodPost, path, token, body)
		require.Equal(t, http.StatusOK, r.status, r.raw)
	}
	renew := func() {
		t.Helper()
		r = call(t, http.MethodPost, "/auth/refresh", "", fields{"refreshToken": refresh})
		require.Equal(t, http.StatusOK, r.status, r.raw)
		token, refresh = r.text("accessToken"), r.text("refreshToken")
	}
	refused(http.MethodGet, "/admin/users?size=1", nil, "PASSWORD_CHANGE_REQUIRED")
	refused(http.MethodPost, "/auth/mfa/totp", fields{"password": initialPassword}, "PASSWORD_CHANGE_REQUIRED")
	next("/auth/password", fields{"currentPassword": initialPassword, "newPassword": strongPassword})
	renew()
	refused(http.MethodGet, "/admin/users?size=1", nil, "SECOND_FACTOR_ENROLMENT_REQUIRED")
	refused(http.MethodGet, "/ops/circuit-breakers", nil, "SECOND_FACTOR_ENROLMENT_REQUIRED")
	next("/auth/mfa/totp", fields{"password": strongPassword})
	secret := r.text("secret")
	next("/auth/mfa/totp/confirm", fields{"otp": code(t, secret, 0), "endOtherSessions": true})
	renew()
	require.Nil(t, r.data("duties"))
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/admin/users?size=1", token, nil).status)
	c.Password = strongPassword
	require.Equal(t, "AUTH_004", tryLogin(t, c, code(t, made, 1)).body.Error.Code,
		"the secret that was handed over is good for nothing")
	require.Equal(t, http.StatusOK, tryLogin(t, c, code(t, secret, 1)).status)
}

// TestAnonymousGuessesDoNotLockStaffOut: five wrong passwords lock the id, and not for known devices.
func TestAnonymousGuessesDoNotLockStaffOut(t *testing.T) {
	t.Parallel()
	needSystem(t)
	r := call(t, http.MethodPost, "/admin/users", login(t, running.Admin), fields{
		"userId": "mfa-known", "password": initialPassword, "userName": "김운영", "roles": []string{"OPERATOR"},
		"reason": "운영팀 입사",
	})
	require.Equal(t, http.StatusCreated, r.status, r.raw)
	secret := r.text("enrolment", "secret")
	c := devstack.Login{UserID: "mfa-known", Password: initialPassword}
	r = tryLogin(t, c, code(t, secret, 0))
	require.Equal(t, http.StatusOK, r.status, r.raw)
	cookie := r.header.Get("Set-Cookie")
	post := func(path, token string, body any) reply { // as a browser does
		t.Helper()
		pair, _, _ := strings.Cut(cookie, ";")
		return callWith(t, http.MethodPost, path, token, body, http.Header{"Cookie": {pair}})
	}
	r = post("/auth/password", r.text("accessToken"), fields{
		"currentPassword": initialPassword, "newPassword": strongPassword,
	})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	cookie, c.Password = r.header.Get("Set-Cookie"), strongPassword
	for range 5 {
		tryLogin(t, devstack.Login{UserID: c.UserID, Password: "not-the-password"}, "")
	}
	require.Equal(t, "AUTH_003", tryLogin(t, c, "").body.Error.Code)
	body := fields{"userId": c.UserID, "password": c.Password}
	r = post("/auth/login", "", body)
	require.Equal(t, "AUTH_004", r.body.Error.Code, "the password is looked at, and a code is asked for: %s", r.raw)
	body["otp"] = code(t, secret, 1)
	r = post("/auth/login", "", body)
	require.Equal(t, http.StatusOK, r.status, r.raw)
}
