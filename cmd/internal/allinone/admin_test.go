package allinone_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/ctl"
	"phonebill/cmd/internal/devstack"
)

type fields = map[string]any

const (
	strongPassword  = "vierzig-Regenschirme-77"
	initialPassword = "erste-Regenschirme-11" // as staff set it
)

// lines are given out one by one: no two accounts hold one line.
var lines atomic.Int64

// someone makes a customer of the test's own through the API, who has changed the initial password.
func someone(t *testing.T, user string) devstack.Login {
	t.Helper()
	number := fmt.Sprintf("010-7777-%04d", lines.Add(1))
	r := call(t, http.MethodPost, "/admin/users", login(t, running.Admin), fields{
		"userId": user, "password": initialPassword, "userName": "홍길동", "phoneNumber": "010-7777-1234",
		"email":      "hong@example.com",
		"customerId": "C-" + user, "lines": []string{number}, "roles": []string{"CUSTOMER"},
		"permissions": []string{"BILL_INQUIRY"},
		"reason":      "시험 계정",
	})
	require.Equal(t, http.StatusCreated, r.status, r.raw)
	return own(t, devstack.Login{UserID: user, Password: initialPassword, LineNumber: number})
}

// own changes the initial password of an account without a second factor and returns the login with the new one.
func own(t *testing.T, initial devstack.Login) devstack.Login {
	t.Helper()
	r := call(t, http.MethodPost, "/auth/password", login(t, initial), fields{
		"currentPassword": initial.Password, "newPassword": strongPassword,
	})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	initial.Password = strongPassword
	return initial
}

// audited returns what the audit log says of an account, oldest first, as "ACTION OUTCOME".
func audited(t *testing.T, subject string) []string {
	t.Helper()
	db, err := pgx.Connect(t.Context(), running.Databases["auth"])
	require.NoError(t, err)
	defer func() { _ = db.Close(context.Background()) }()
	rows, err := db.Query(t.Context(),
		`SELECT action || ' ' || outcome FROM audit_log WHERE subject = $1 ORDER BY at, writer, seq`, subject)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return all
}

// adminCalls are all operations of the administration on one account, with who may call them beside an ADMIN.
func adminCalls(user string) []struct {
	method, path string
	body         any
	operator     bool
} {
	at := "/admin/users/" + user
	why := fields{"reason": "시험용"}
	return []struct {
		method, path string
		body         any
		operator     bool
	}{
		{"GET", "/admin/users?userId=" + user, nil, true},
		{"GET", at, nil, true},
		{"GET", at + "/login-history", nil, true},
		{"POST", at + "/unlock", why, true},
		{"POST", at + "/reveal", why, false},
		{"PUT", at + "/permissions/PRODUCT_CHANGE", why, false},
		{"DELETE", at + "/permissions/PRODUCT_CHANGE?reason=abc", nil, false},
		{"DELETE", at + "/sessions?reason=abc", nil, false},
		{"PATCH", at, fields{"version": 4, "status": "INACTIVE", "reason": "시험용"}, false},
		{"POST", "/admin/users", fields{
			"userId": user + "2", "password": strongPassword, "userName": "둘", "roles": []string{"CUSTOMER"},
			"reason": "시험용",
		}, false},
	}
}

// TestWhoMayAdminister runs before the parallel tests: their load can make a call outlast its deadline (503), and a
// call that is repeated would be in the audit log twice.
func TestWhoMayAdminister(t *testing.T) { //nolint:paralleltest // see above
	needSystem(t)
	who := someone(t, "adm-matrix")
	customerToken, operator, admin := login(t, who), login(t, running.Operator), login(t, running.Admin)
	for _, c := range adminCalls(who.UserID) {
		name := c.method + " " + c.path
		r := call(t, c.method, c.path, "", c.body)
		require.Equal(t, "UNAUTHORIZED", r.body.Error.Code, name)
		r = call(t, c.method, c.path, customerToken, c.body)
		require.Equal(t, "FORBIDDEN", r.body.Error.Code, name)
		r = call(t, c.method, c.path, operator, c.body)
		if c.operator {
			require.Equal(t, http.StatusOK, r.status, name+r.raw)
		} else {
			require.Equal(t, "FORBIDDEN", r.body.Error.Code, name)
		}
	}
	for _, c := range adminCalls(who.UserID) {
		r := call(t, c.method, c.path, admin, c.body)
		require.Truef(t, r.status == http.StatusOK || r.status == http.StatusCreated, "%s %s: %s", c.method, c.path, r.raw)
	}
	require.Eventually(t, func() bool {
		return strings.Contains(running.logs.String(), `"msg":"permission denied","unit":"gateway","user":"adm-matrix",`+
			`"permission":"USER_ADMIN","route":"PATCH /api/v1/admin/users/{userId}"`)
	}, time.Second, 10*time.Millisecond, "denials are logged")
	require.Equal(t, []string{
		"USER_CREATED INTENDED", "USER_CREATED DONE",
		"USERS_SEARCHED DONE", "USER_SHOWN DONE", "LOGIN_HISTORY_SHOWN DONE", "USER_UNLOCKED INTENDED", "USER_UNLOCKED DONE",
		"USERS_SEARCHED DONE", "USER_SHOWN DONE", "LOGIN_HISTORY_SHOWN DONE", "USER_UNLOCKED INTENDED", "USER_UNLOCKED DONE",
		"USER_REVEALED DONE", "PERMISSION_GRANTED INTENDED", "PERMISSION_GRANTED DONE", "PERMISSION_REVOKED INTENDED",
		"PERMISSION_REVOKED DONE", "SESSIONS_ENDED INTENDED", "SESSIONS_ENDED DONE", "USER_CHANGED INTENDED",
		"USER_CHANGED DONE",
	}, audited(t, who.UserID), "every call that reached the verb")
}

func TestAccountsAreMaskedUnlessThereIsAReason(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who, admin := someone(t, "adm-mask"), login(t, running.Admin)
	for _, r := range []reply{
		call(t, http.MethodGet, "/admin/users/adm-mask", admin, nil),
		call(t, http.MethodGet, "/admin/users?customerId=C-adm-mask", admin, nil),
		call(t, http.MethodGet, "/admin/users?userId=adm-mask&lineNumber="+who.LineNumber, admin, nil),
	} {
		require.Equal(t, http.StatusOK, r.status, r.raw)
		require.Contains(t, r.raw, `"userName":"홍*동"`)
		require.Contains(t, r.raw, "010-****-1234")
		for _, clear := range []string{"홍길동", "7777", "hong@"} {
			require.NotContains(t, r.raw, clear)
		}
	}
	r := call(t, http.MethodPost, "/admin/users/adm-mask/reveal", admin, fields{"reason": "x"})
	require.Equal(t, "reason", r.body.Error.Fields[0].Field, r.raw)
	r = call(t, http.MethodPost, "/admin/users/adm-mask/reveal", admin, fields{"reason": "고객 본인 확인"})
	require.Equal(t, "홍길동", r.text("userName"), r.raw)
	require.Equal(t, "010-7777-1234", r.text("phoneNumber"))
	require.Equal(t, "hong@example.com", r.text("email"))
	require.Equal(t, http.StatusNotFound, call(t, http.MethodGet, "/admin/users/adm-nobody", admin, nil).status)
	require.Equal(t, []string{"USER_SHOWN USER_NOT_FOUND"}, audited(t, "adm-nobody"))
	_ = who
}

func TestChangingAnAccount(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who, admin := someone(t, "adm-change"), login(t, running.Admin)
	at := "/admin/users/" + who.UserID
	r := call(t, http.MethodPost, "/admin/users", admin, fields{
		"userId": who.UserID, "password": strongPassword, "userName": "둘", "roles": []string{"CUSTOMER"}, "reason": "시험용",
	})
	require.Equal(t, http.StatusConflict, r.status, "taken: %s", r.raw)
	require.Equal(t, "userId", r.body.Error.Fields[0].Field)

	tomorrow := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	r = call(t, http.MethodPut, at+"/permissions/PRODUCT_CHANGE", admin, fields{
		"expiresAt": tomorrow, "reason": "하루 체험",
	})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Contains(t, r.raw, `{"expiresAt":"`+tomorrow.Format(time.RFC3339)+`","givenAt":`)
	require.Contains(t, r.raw, `"givenBy":"`+running.Admin.UserID+`","permission":"PRODUCT_CHANGE"}`)
	version := r.data("version")
	for name, c := range map[string]struct {
		method, path string
		body         fields
		status       int
	}{
		"expired grant": {"PUT", at + "/permissions/BILL_INQUIRY", fields{
			"expiresAt": time.Now().Add(-time.Hour), "reason": "시험용",
		}, 400},
		"staff only":  {"PUT", at + "/permissions/USER_ADMIN", fields{"reason": "시험용"}, 400},
		"unknown one": {"PUT", at + "/permissions/EVERYTHING", fields{"reason": "시험용"}, 400},
		"no reason":   {"PATCH", at, fields{"version": version, "status": "SUSPENDED"}, 400},
		"blank reason": {"PATCH", at, fields{
			"version": version, "status": "SUSPENDED", "reason": "\u0000\u0000\u0000",
		}, 400},
		"stale":          {"PATCH", at, fields{"version": 1, "status": "SUSPENDED", "reason": "시험용"}, 409},
		"locked by hand": {"PATCH", at, fields{"version": version, "status": "LOCKED", "reason": "시험용"}, 400},
		"no factor": {"PATCH", at, fields{
			"version": version, "roles": []string{"CUSTOMER", "ADMIN"}, "reason": "시험용",
		}, 409},
		"own account": {"PATCH", "/admin/users/" + running.Admin.UserID, fields{
			"version": 1, "status": "SUSPENDED", "reason": "시험용",
		}, 409},
		"nobody's line": {"PATCH", at, fields{"version": version, "lines": []string{"02-123"}, "reason": "시험용"}, 400},
		"line twice": {"PATCH", at, fields{
			"version": version, "lines": []string{"01011112222", "010-1111-2222"}, "reason": "시험용",
		}, 400},
		"unknown account": {"PATCH", "/admin/users/adm-nobody2", fields{"version": 1, "reason": "시험용"}, 404},
	} {
		r := call(t, c.method, c.path, admin, c.body)
		require.Equal(t, c.status, r.status, name+": "+r.raw)
	}

	token := login(t, who)
	r = call(t, http.MethodPatch, at, admin, fields{"version": version, "status": "SUSPENDED", "reason": "명의 도용 신고"})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Equal(t, "SUSPENDED", r.text("status"))
	require.Eventually(t, func() bool {
		return call(t, http.MethodGet, "/bills/menu", token, nil).body.Error.Code == "TOKEN_REVOKED"
	}, 2*time.Second, 20*time.Millisecond, "a suspended account has no session anywhere")
	require.Equal(t, "FORBIDDEN", tryLogin(t, who, "").body.Error.Code)
	r = call(t, http.MethodGet, "/admin/users?status=SUSPENDED&userId=adm-change", admin, nil)
	require.EqualValues(t, 1, r.data("pagination", "totalElements"), r.raw)
}

// ADR 14: a change of rights or lines ends the tokens of before within a second, and not the session.
func TestTokensFromBeforeAChangeOfRightsAreDead(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who, admin := someone(t, "adm-epoch"), login(t, running.Admin)
	dies := func(token, what string) {
		t.Helper()
		for _, at := range []struct{ base, path string }{
			{running.BaseURL, "/bills/menu"}, {running.Services["bill"], "/bills/menu"},
			{running.Services["auth"], "/auth/verify"},
		} {
			require.Eventuallyf(t, func() bool {
				return callAt(t, at.base+"/api/v1", http.MethodGet, at.path, token, nil).body.Error.Code == "TOKEN_REVOKED"
			}, 2*time.Second, 20*time.Millisecond, "%s%s still takes the token after %s", at.base, at.path, what)
		}
	}
	first := call(t, http.MethodPost, "/auth/login", "", fields{"userId": who.UserID, "password": who.Password})
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/bills/menu", first.text("accessToken"), nil).status)
	r := call(t, http.MethodPut, "/admin/users/adm-epoch/permissions/PRODUCT_CHANGE", admin,
		fields{"reason": "서비스 신청"})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	dies(first.text("accessToken"), "a grant")
	second := call(t, http.MethodPost, "/auth/refresh", "", fields{"refreshToken": first.text("refreshToken")})
	require.Equal(t, http.StatusOK, second.status, "the session lives on: %s", second.raw)
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/products/history", second.text("accessToken"), nil).status)
	r = call(t, http.MethodPatch, "/admin/users/adm-epoch", admin, fields{
		"version": r.data("version"), "lines": []string{"010-7778-5678"}, "reason": "번호 변경",
	})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	dies(second.text("accessToken"), "a change of lines")
}

func TestLockedAndUnlocked(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who, operator := someone(t, "adm-lock"), login(t, running.Operator)
	for range 5 {
		tryLogin(t, devstack.Login{UserID: who.UserID, Password: "not-the-password"}, "")
	}
	require.Equal(t, "AUTH_003", tryLogin(t, who, "").body.Error.Code)
	r := call(t, http.MethodGet, "/admin/users?status=LOCKED&userId=adm-lock", operator, nil)
	require.EqualValues(t, 1, r.data("pagination", "totalElements"), r.raw)
	require.Contains(t, r.raw, `"lockedUntil"`)
	r = call(t, http.MethodPost, "/admin/users/adm-lock/unlock", operator, fields{"reason": "고객 요청"})
	require.Equal(t, "ACTIVE", r.text("status"), r.raw)
	token := login(t, who)
	for path, by := range map[string]string{
		"/auth/login-history": token, "/admin/users/adm-lock/login-history": operator,
	} {
		r = call(t, http.MethodGet, path+"?size=3", by, nil)
		require.Equal(t, http.StatusOK, r.status, r.raw)
		require.Equal(t, []string{"LOGIN true", "UNLOCKED true", "LOGIN false"}, eventsOf(t, r))
		require.EqualValues(t, 10, r.data("pagination", "totalElements"))
		require.Equal(t, path == "/auth/login-history", strings.Contains(r.raw, `"ip":"127.0.0.*"`),
			"the user's own view is masked")
	}
}

func eventsOf(t *testing.T, r reply) []string {
	t.Helper()
	items, ok := r.data("items").([]any)
	require.True(t, ok)
	var out []string
	for _, item := range items {
		e, _ := item.(map[string]any)
		out = append(out, fmt.Sprint(e["type"], " ", e["success"]))
	}
	return out
}

func TestANewOperatorHasASecondFactor(t *testing.T) {
	t.Parallel()
	needSystem(t)
	admin := login(t, running.Admin)
	r := call(t, http.MethodPost, "/admin/users", admin, fields{
		"userId": "adm-newop", "password": initialPassword, "userName": "김운영", "roles": []string{"OPERATOR"},
		"reason": "운영팀 입사",
	})
	require.Equal(t, http.StatusCreated, r.status, r.raw)
	require.Equal(t, true, r.data("secondFactor"))
	require.Equal(t, "ACTIVE", r.text("status"))
	secret := r.text("enrolment", "secret")
	c := devstack.Login{UserID: "adm-newop", Password: initialPassword}
	require.Equal(t, "AUTH_004", tryLogin(t, c, "").body.Error.Code)
	r = tryLogin(t, c, code(t, secret, 0))
	require.Equal(t, http.StatusOK, r.status, r.raw)
	token := r.text("accessToken")
	require.Equal(t, "PASSWORD_CHANGE_REQUIRED",
		call(t, http.MethodGet, "/admin/users?size=1", token, nil).body.Error.Code)
	refresh := r.text("refreshToken")
	r = call(t, http.MethodPost, "/auth/password", token, fields{
		"currentPassword": initialPassword, "newPassword": strongPassword,
	})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	c.Password = strongPassword
	renew := func() {
		r = call(t, http.MethodPost, "/auth/refresh", "", fields{"refreshToken": refresh})
		token, refresh = r.text("accessToken"), r.text("refreshToken")
	}
	renew()
	r = call(t, http.MethodPost, "/auth/mfa/totp", token, fields{"password": strongPassword})
	secret = r.text("secret")
	r = call(t, http.MethodPost, "/auth/mfa/totp/confirm", token, fields{"otp": code(t, secret, -1)})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	renew()
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/admin/users?size=1", token, nil).status)
	require.NotContains(t, running.logs.String(), secret)

	// USER_ADMIN lets an operator look after customers, not after staff: else an operator could become an administrator.
	r = call(t, http.MethodPut, "/admin/users/adm-newop/permissions/USER_ADMIN", admin, fields{"reason": "시험용"})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	r = tryLogin(t, c, code(t, secret, 1))
	require.Equal(t, http.StatusOK, r.status, r.raw)
	token = r.text("accessToken")
	r = call(t, http.MethodPost, "/admin/users", token, fields{
		"userId": "adm-sneaky", "password": strongPassword, "userName": "몰래", "roles": []string{"ADMIN"},
		"reason": "시험용",
	})
	require.Equal(t, "FORBIDDEN", r.body.Error.Code, r.raw)
	r = call(t, http.MethodPut, "/admin/users/adm-newop/permissions/PRODUCT_CHANGE", token, fields{"reason": "시험용"})
	require.Equal(t, http.StatusConflict, r.status, "own rights: %s", r.raw)
}

// command carries a command out against the running system.
func command(t *testing.T, in string, args ...string) (out, progress string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := func(key string) string { return map[string]string{"PHONEBILL_DATA": running.dir}[key] }
	err = ctl.Run(t.Context(), ctl.Console{
		Env: boot.Env(env), In: strings.NewReader(in), Out: &stdout, Err: &stderr, Log: slog.New(slog.DiscardHandler),
	}, args)
	return stdout.String(), stderr.String(), err
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	needSystem(t)
	ok := func(args ...string) string {
		t.Helper()
		out, _, err := command(t, initialPassword+"\n", args...)
		require.NoError(t, err, args)
		return out
	}
	out := ok("users", "create", "ctl-admin", "--name", "이관리", "--role", "ADMIN", "--reason", "첫 관리자")
	require.Contains(t, out, "otpauth://totp/")
	require.Equal(t, 10, strings.Count(out, "recovery code"))
	require.Regexp(t, `password +[a-z2-7]{26}`, out, "made and shown once")
	out = ok("users", "create", "ctl-user", "--name", "홍길동", "--phone", "01012345678", "--line", "010-7780-5678",
		"--customer", "C-9",
		"--permission", "bill_inquiry", "--password-stdin", "--reason", "신규 개통")
	require.NotContains(t, out, initialPassword)
	token := login(t, own(t, devstack.Login{UserID: "ctl-user", Password: initialPassword}))
	require.Contains(t, ok("users", "show", "ctl-user"), "010-****-5678")
	require.Contains(t, ok("users", "show", "ctl-user", "--reveal", "--reason", "본인 확인"), "010-7780-5678")
	require.Regexp(t, `(?s)ctl-user +ACTIVE +홍\*동.*page 1 of 1, 1 in all`, ok("users", "list", "--customer", "C-9"))
	require.Contains(t, ok("users", "history", "ctl-user"), "LOGIN")
	_, _, err := command(t, initialPassword+"\n", "users", "create", "ctl-taker", "--name", "홍길동",
		"--line", "010-7780-5678",
		"--password-stdin", "--reason", "명의 변경")
	require.ErrorContains(t, err, "waits for a second person")
	waiting := regexp.MustCompile(`([0-9a-f-]{36})  010-\*{4}-5678 to ctl-taker`).FindStringSubmatch(
		ok("users", "transfers", "list"))
	require.Len(t, waiting, 2)
	_, _, err = command(t, "", "users", "transfers", "confirm", waiting[1], "--reason", "서류 확인")
	require.ErrorContains(t, err, "Another person has to confirm", "the console is one person")
	require.Contains(t, ok("grant", "ctl-user", "product_change", "--expires", "2099-12-31", "--reason", "서비스 체험"),
		"until 2099-12-31 15:00:00Z (by cli:")
	require.Contains(t, ok("revoke", "ctl-user", "PRODUCT_CHANGE", "--reason", "체험"), "no longer has its grant")
	require.Contains(t, ok("revoke", "ctl-user", "PRODUCT_CHANGE", "--reason", "체험"), "nothing was revoked")
	require.Contains(t, ok("sessions", "list", "ctl-user"), "Go-http-client")
	require.Contains(t, ok("sessions", "end", "ctl-user", "--reason", "분실 신고"), "2 sessions ended")
	require.Eventually(t, func() bool {
		return call(t, http.MethodGet, "/bills/menu", token, nil).body.Error.Code == "TOKEN_REVOKED"
	}, 2*time.Second, 20*time.Millisecond, "everywhere")
	require.NotContains(t, running.logs.String(), "channel of revocations is not ours",
		"the push of the command line is believed")
	require.Contains(t, ok("users", "suspend", "ctl-user", "--reason", "도용 신고"), "SUSPENDED")
	require.Contains(t, ok("users", "activate", "ctl-user", "--reason", "신고 취소"), "ACTIVE")
	require.Contains(t, ok("users", "unlock", "ctl-user", "--reason", "고객 요청"), "unlocked")
	verified := ok("audit", "verify")
	require.Contains(t, verified, "the audit log is whole")
	require.Contains(t, verified, "keyed rows begin with row 1 of writer ")
	for _, bad := range [][]string{
		{"users", "show", "ctl-nobody"}, {"users", "create", "x", "--name", "엑스", "--reason", "시험용"},
		{"users", "suspend", "ctl-user"}, {"grant", "ctl-user", "USER_ADMIN", "--reason", "시험용"},
		{"grant", "ctl-user", "BILL_INQUIRY", "--expires", "gestern", "--reason", "시험용"},
		{"users", "list", "--size", "1000"}, {"users", "list", "--status", "GONE"},
		{"users", "list", "--line", "1"}, {"nonsense"},
		{"users", "create", "ctl-role", "--name", "엑스", "--role", "KING", "--permission", "ALL", "--line", "1",
			"--reason", "시험용"},
		{"revoke", "ctl-user", "ALL", "--reason", "시험용"}, {"users", "history", "ctl-user", "--page", "0"},
		{"users", "transfers", "confirm", "x", "--reason", "시험용"},
		{"users", "import", "/nonexistent.csv", "--reason", "시험용"}, {"users", "show", "ctl-user", "--reveal"},
	} {
		_, _, err := command(t, "", bad...)
		require.Error(t, err, bad)
	}
	_, _, err = command(t, "", "users", "create", "ctl-empty", "--name", "엑스", "--password-stdin", "--reason", "시험용")
	require.ErrorContains(t, err, "no password")
	for _, line := range audited(t, "ctl-user") {
		require.NotContains(t, line, "INTERNAL")
	}
	require.Contains(t, audited(t, "ctl-user"), "USER_REVEALED VALIDATION_ERROR")
}

// Deployed, the command line takes the environment of the auth service.
func TestCommandLineByEnvironment(t *testing.T) {
	t.Parallel()
	needSystem(t)
	env := map[string]string{
		"AUTH_DATABASE_URL": running.Databases["auth"], "KEYRING_FILE": filepath.Join(running.dir, "keyring.json"),
		"VALKEY_ADDR": running.Cache.Address, "VALKEY_PASSWORD": running.Cache.Password,
	}
	run := func(env map[string]string, args ...string) (string, error) {
		var out bytes.Buffer
		err := ctl.Run(t.Context(), ctl.Console{
			Env: func(key string) string { return env[key] }, In: strings.NewReader(""), Out: &out, Err: &out,
			Log: slog.New(slog.DiscardHandler),
		}, args)
		return out.String(), err
	}
	out, err := run(env, "users", "list", "--size", "1")
	require.NoError(t, err)
	require.Contains(t, out, "page 1 of")
	delete(env, "KEYRING_FILE")
	_, err = run(env, "users", "list")
	require.ErrorContains(t, err, "KEYRING_FILE is not set")
	_, err = run(map[string]string{"PHONEBILL_DATA": t.TempDir()}, "users", "list")
	require.ErrorContains(t, err, "make run")
	env["KEYRING_FILE"], env["AUTH_DATABASE_URL"] = filepath.Join(running.dir, "keyring.json"),
		"postgres://nobody:x@127.0.0.1:1/none"
	_, err = run(env, "users", "list")
	require.ErrorContains(t, err, "the auth database does not answer")
	require.NotContains(t, err.Error(), "nobody:x")
	out, err = run(nil, "users", "import", "--help")
	require.NoError(t, err)
	require.Contains(t, out, "imp.refused.csv for imp.csv")
}

// TestImportOfTenThousandCustomers loads a file with everything in it that files have, twice.
func TestImportOfTenThousandCustomers(t *testing.T) {
	t.Parallel()
	needSystem(t)
	const hash = `"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`
	var file strings.Builder
	file.WriteString("\uFEFFuser_id,password,password_hash,name,phone,email,customer_id,lines,permissions\r\n")
	for n := 1; n <= 10_000; n++ {
		_, _ = fmt.Fprintf(&file,
			"imp-%d,,%s,\"홍, 길동\",010%08d,imp%d@example.com,I-%d,010%08d;0109%07d,BILL_INQUIRY;PRODUCT_CHANGE\r\n",
			n, hash, n, n, n, n, n)
	}
	file.WriteString("imp-mine," + initialPassword + ",," + norm.NFD.String("김철수") + ",,,,,BILL_INQUIRY\n\n")
	for _, bad := range []string{
		"imp-1,," + hash + ",두 번,,,,,", "imp-short,kurz,,홍길동,,,,,",
		"imp-two," + strongPassword + "," + hash + ",홍길동,,,,,", "imp-none,,,홍길동,,,,,",
		"imp-hash,,$2y$10$abcdefghijklmnopqrstuv,홍길동,,,,,", "imp-staff,," + hash + ",홍길동,,,,,USER_ADMIN",
		"imp-line,," + hash + ",홍길동,,,,12,",
		"imp-cols," + strongPassword, "imp-\xff\xfe,," + hash + ",홍길동,,,,,",
		"imp-blank,          ,,홍길동,,,,,", "imp-ownid,my-IMP-OwnID-key,,홍길동,,,,,",
		"비밀번호-" + strongPassword + ",x,,홍,,,,,",
		"imp-long," + strings.Repeat("x", 70_000) + ",,홍길동,,,,,",
		`imp-quote,"` + strongPassword + ",,홍길동,,,,,", // never closed: it would take what follows with it
	} {
		file.WriteString(bad + "\n")
	}
	path := filepath.Join(t.TempDir(), "customers.csv")
	require.NoError(t, os.WriteFile(path, []byte(file.String()), 0o600))
	out, progress, err := command(t, "", "users", "import", path, "--reason", "고객 이관")
	require.ErrorIs(t, err, ctl.ErrPartly)
	report, err := os.ReadFile(strings.TrimSuffix(path, ".csv") + ".refused.csv")
	require.NoError(t, err)
	require.Equal(t, "10015 read, 10001 added, 0 there already, 14 refused\n", out, string(report))
	require.Contains(t, progress, "rows/s")
	require.NotContains(t, string(report), strongPassword)
	rows := strings.Split(strings.TrimSpace(string(report)), "\n")
	require.Len(t, rows, 15)
	require.Equal(t, "10004,imp-1,user_id,파일 안에서 중복된 ID입니다", rows[1])
	require.Contains(t, rows[2], "10005,imp-short,password,")
	require.Contains(t, rows[8], "10011,,line,")
	require.Contains(t, rows[10], "10013,imp-blank,password,")
	require.Contains(t, rows[11], "10014,imp-ownid,password,")
	require.Contains(t, rows[12], "10015,,user_id,")
	require.Contains(t, rows[14], "10017,,line,")

	token := login(t, own(t, devstack.Login{UserID: "imp-mine", Password: initialPassword}))
	require.Equal(t, "김철수", call(t, http.MethodGet, "/auth/user-info", token, nil).text("userName"))
	r := call(t, http.MethodGet, "/admin/users?lineNumber=010-9000-0042", login(t, running.Operator), nil)
	require.Contains(t, r.raw, `"userId":"imp-42"`)
	out, _, err = command(t, "", "users", "import", path, "--reason", "다시 한 번")
	require.ErrorIs(t, err, ctl.ErrPartly)
	require.Equal(t, "10015 read, 0 added, 10002 there already, 13 refused\n", out, "going on skips what is there")
}

// TestTheAuditLogOfTheRunningSystemNamesAChangedRow changes a row as the database's owner could.
func TestTheAuditLogOfTheRunningSystemNamesAChangedRow(t *testing.T) {
	t.Parallel()
	needSystem(t)
	someone(t, "adm-tamper")
	for _, table := range []string{"audit_log", "audit_checkpoints", "login_history"} {
		db, err := pgx.Connect(t.Context(), running.Databases["auth"])
		require.NoError(t, err)
		var may bool
		require.NoError(t, db.QueryRow(t.Context(), `SELECT has_table_privilege('phonebill_auth', $1, 'UPDATE')
			OR has_table_privilege('phonebill_auth', $1, 'DELETE')`, table).Scan(&may))
		require.False(t, may, table)
		require.NoError(t, db.Close(t.Context()))
	}
}
