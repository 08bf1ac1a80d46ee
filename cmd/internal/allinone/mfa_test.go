package allinone_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/demo"
)

func tryLogin(t *testing.T, c demo.Login, otp string) reply {
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
	require.Equal(t, "AUTH_001", r.body.Error.Code, r.raw)
	r = call(t, http.MethodPost, "/auth/mfa/totp/confirm", token, map[string]string{"otp": "123456"})
	require.Equal(t, http.StatusConflict, r.status, "nothing was begun: %s", r.raw)
	r = call(t, http.MethodPost, "/auth/mfa/totp", token, password)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	secret := r.text("secret")
	require.Contains(t, r.text("otpauthUri"), secret)
	require.Equal(t, http.StatusOK, tryLogin(t, c, "").status, "it does not count before it is confirmed")
	r = call(t, http.MethodPost, "/auth/mfa/totp/confirm", token, map[string]string{"otp": code(t, secret, 4)})
	require.Equal(t, "AUTH_004", r.body.Error.Code, r.raw)
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
	require.Equal(t, http.StatusOK, tryLogin(t, c, spare).status)
	require.Equal(t, "AUTH_004", tryLogin(t, c, spare).body.Error.Code, "a recovery code too")
	r = tryLogin(t, c, "12345")
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Equal(t, "otp", r.body.Error.Fields[0].Field)

	r = call(t, http.MethodPost, "/auth/mfa/totp", token, password)
	require.Equal(t, http.StatusConflict, r.status, "one counts already: %s", r.raw)
	r = call(t, http.MethodDelete, "/auth/mfa/totp", token, password)
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
