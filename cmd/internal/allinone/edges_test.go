package allinone_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/boot"
)

// Bad input of every kind is a 4xx in the envelope that names the field; nothing is a 500. It is tried one after the
// other, before other tests' logins of this customer end the session.
//
//nolint:paralleltest,tparallel // see above
func TestBadInput(t *testing.T) {
	t.Parallel()
	needSystem(t)
	token := login(t, customer(t, "normal", 0))
	long := strings.Repeat("x", 70<<10)
	future := time.Now().AddDate(0, 3, 0).Format("2006-01")
	for name, c := range map[string]struct {
		method, path string
		body         any
		status       int
		field        string
	}{
		"malformed JSON": {"POST", "/bills/inquiry", `{"lineNumber":`, 400, "body"},
		"not an object":  {"POST", "/bills/inquiry", `[]`, 400, "body"},
		"empty body":     {"POST", "/bills/inquiry", ``, 400, "body"},
		"unknown field":  {"POST", "/bills/inquiry", `{"lineNumber":"01012345678","x":1}`, 400, "x"},
		"wrong type":     {"POST", "/bills/inquiry", `{"lineNumber":1012345678}`, 400, "lineNumber"},
		"missing field":  {"POST", "/bills/inquiry", `{}`, 400, "lineNumber"},
		"bad line":       {"POST", "/bills/inquiry", `{"lineNumber":"0212345678"}`, 400, "lineNumber"},
		"month 13": {"POST", "/bills/inquiry", `{"lineNumber":"01012345678","inquiryMonth":"2026-13"}`,
			400, "inquiryMonth"},
		"future month": {"POST", "/bills/inquiry", `{"lineNumber":"01012345678","inquiryMonth":"` + future + `"}`,
			400, "inquiryMonth"},
		"month too old": {"POST", "/bills/inquiry", `{"lineNumber":"01012345678","inquiryMonth":"2020-01"}`,
			400, "inquiryMonth"},
		"over-long body":      {"POST", "/bills/inquiry", `{"lineNumber":"` + long + `"}`, 413, ""},
		"id that is no UUID":  {"GET", "/bills/inquiry/42", nil, 400, "requestId"},
		"wait too long":       {"GET", "/bills/inquiry/018f0000-0000-7000-8000-000000000000?wait=26", nil, 400, "wait"},
		"page 0":              {"GET", "/bills/history?page=0", nil, 400, "page"},
		"size 101":            {"GET", "/bills/history?size=101", nil, 400, "size"},
		"page too deep":       {"GET", "/bills/history?page=501&size=20", nil, 400, "page"},
		"bad date":            {"GET", "/bills/history?startDate=2026-02-30", nil, 400, "startDate"},
		"dates the wrong way": {"GET", "/products/history?startDate=2026-02-02&endDate=2026-02-01", nil, 400, "startDate"},
		"bad status":          {"GET", "/bills/history?status=DONE", nil, 400, "status"},
		"month of a read":     {"GET", "/bills/2026-13?lineNumber=01012345678", nil, 400, "month"},
		"future read":         {"GET", "/bills/" + future + "?lineNumber=01012345678", nil, 400, "month"},
		"read without a line": {"GET", "/bills/2026-01", nil, 400, "lineNumber"},
		"unknown of a read":   {"GET", "/bills/2026-01?lineNumber=01012345678&x=1", nil, 400, "x"},
		"bad line in path":    {"GET", "/products/customer/12", nil, 400, "lineNumber"},
		"effective tomorrow": {"POST", "/products/change",
			`{"lineNumber":"01012345678","currentProductCode":"A","targetProductCode":"B",` +
				`"changeEffectiveDate":"2020-05-05"}`, 400, "changeEffectiveDate"},
		"short password": {"POST", "/auth/login", `{"userId":"someone","password":"short"}`, 400, "password"},
		"odd user id":    {"POST", "/auth/login", `{"userId":"a b","password":"long-enough"}`, 400, "userId"},
		"bad service":    {"POST", "/auth/permissions/check", `{"serviceType":"X"}`, 400, "serviceType"},
		"unknown path":   {"GET", "/nothing/here", nil, 404, ""},
		"kos is nowhere": {"POST", "/kos/bill/inquiry", `{}`, 404, ""},
		"wrong method":   {"DELETE", "/bills/menu", nil, 405, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := call(t, c.method, c.path, token, c.body)
			require.Equal(t, c.status, r.status, r.raw)
			require.False(t, r.body.Success)
			require.NotEmpty(t, r.body.Error.Code)
			require.NotEmpty(t, r.body.Error.TraceID)
			if c.field != "" {
				require.Len(t, r.body.Error.Fields, 1, r.raw)
				require.Equal(t, c.field, r.body.Error.Fields[0].Field)
				require.NotEmpty(t, r.body.Error.Fields[0].Reason)
			}
		})
	}
}

func TestPermissionAndOwnership(t *testing.T) {
	t.Parallel()
	needSystem(t)
	operator := login(t, running.Operator)
	r := call(t, http.MethodGet, "/bills/menu", operator, nil)
	require.Equal(t, http.StatusForbidden, r.status)
	require.Equal(t, "서비스 이용 권한이 없습니다", r.body.Error.Message)
	check := call(t, http.MethodPost, "/auth/permissions/check", operator,
		map[string]string{"serviceType": "BILL_INQUIRY"})
	require.Equal(t, http.StatusOK, check.status)
	require.Equal(t, false, check.data("hasPermission"))

	token, other := login(t, customer(t, "normal", 0)), customer(t, "normal", 1).LineNumber
	wish := planChange(other, "LTE-PREMIUM-001", "5G-PREMIUM-001")
	for _, r := range []reply{
		call(t, http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": other}),
		call(t, http.MethodGet, "/bills/history?lineNumber="+other, token, nil),
		call(t, http.MethodGet, "/bills/2020-01?lineNumber="+other, token, nil),
		call(t, http.MethodGet, "/products/customer/"+other, token, nil),
		call(t, http.MethodGet, "/products/available?lineNumber="+other, token, nil),
		call(t, http.MethodPost, "/products/change/validation", token, wish),
		call(t, http.MethodPost, "/products/change", token, wish),
		call(t, http.MethodGet, "/products/history?lineNumber="+other, token, nil),
	} {
		require.Equal(t, http.StatusForbidden, r.status, r.raw)
		require.Equal(t, "FORBIDDEN", r.body.Error.Code)
	}
}

func TestLogoutReachesEveryInstance(t *testing.T) {
	t.Parallel()
	needSystem(t)
	token := login(t, customer(t, "normal", 1))
	require.Equal(t, http.StatusOK, call(t, http.MethodPost, "/auth/logout", token, nil).status)
	for _, at := range []struct{ base, path string }{
		{running.BaseURL, "/bills/menu"}, {running.Services["auth"], "/auth/verify"},
		{running.Services["bill"], "/bills/menu"}, {running.Services["product"], "/products/history"},
	} {
		require.Eventuallyf(t, func() bool {
			return callAt(t, at.base+"/api/v1", http.MethodGet, at.path, token, nil).body.Error.Code == "TOKEN_REVOKED"
			// 1 s, and a busy machine forgiven
		}, 2*time.Second, 20*time.Millisecond, "%s%s still takes the token", at.base, at.path)
	}
}

func TestProbesAndKeys(t *testing.T) {
	t.Parallel()
	needSystem(t)
	bases := []string{running.BaseURL}
	for _, base := range running.Services {
		bases = append(bases, base)
	}
	for _, base := range bases {
		for _, path := range []string{"/health", "/livez", "/readyz"} {
			var health struct{ Status string }
			getJSON(t, base+path, &health)
			require.Equal(t, "UP", health.Status, base+path)
		}
	}
	for _, path := range []string{"/.well-known/jwks.json", "/api/v1/.well-known/jwks.json"} {
		var set struct{ Keys []map[string]string }
		getJSON(t, running.BaseURL+path, &set)
		require.NotEmpty(t, set.Keys) // another test may have made the next
		require.Equal(t, "Ed25519", set.Keys[0]["crv"])
		require.NotContains(t, set.Keys[0], "d")
	}
	for name, url := range running.Metrics {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode, name)
		require.NoError(t, res.Body.Close())
	}
}

func TestRequestIDIsPassedOnAndEchoed(t *testing.T) {
	t.Parallel()
	needSystem(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, running.BaseURL+"/api/v1/bills/menu", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("X-Request-ID", "trace-me.1")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "trace-me.1", res.Header.Get("X-Request-ID"))
}

// No log line, at any level, holds a password, a token or anything personal.
func TestLogsHoldNoPersonalData(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "normal", 0)
	token := login(t, who)
	call(t, http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": who.LineNumber})
	call(t, http.MethodGet, "/products/customer/"+who.LineNumber, token, nil)
	call(t, http.MethodGet, "/bills/"+time.Now().Format("2006-01")+"?lineNumber="+who.LineNumber, token, nil)
	name := call(t, http.MethodGet, "/auth/user-info", token, nil).text("userName")
	logs := running.logs.String()
	require.Contains(t, logs, "/api/v1/bills/inquiry", "the access log is on")
	hyphenated := who.LineNumber[:3] + "-" + who.LineNumber[3:7] + "-" + who.LineNumber[7:]
	for _, secret := range []string{who.Password, token, name, who.LineNumber, hyphenated} {
		require.NotEmpty(t, secret)
		require.NotContains(t, logs, secret)
	}
}

func TestASecondInstanceTouchesNothing(t *testing.T) {
	t.Parallel()
	needSystem(t)
	err := allinone.Run(t.Context(), testEnv(running.dir), io.Discard, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "another phonebill is running on the data folder")
	require.FileExists(t, filepath.Join(running.dir, allinone.DemoFile))
}

// TestTheAllInOneIsForDevelopment: with its demo logins it does not start where PHONEBILL_ENV does not say so.
func TestTheAllInOneIsForDevelopment(t *testing.T) {
	t.Parallel()
	env := testEnv(t.TempDir())
	for _, value := range []string{"", "production", "test"} {
		elsewhere := func(key string) string {
			if key == boot.Environment {
				return value
			}
			return env(key)
		}
		err := allinone.Run(t.Context(), elsewhere, io.Discard, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, boot.Environment, value)
	}
}

func TestDemoFileIsPrivate(t *testing.T) {
	t.Parallel()
	needSystem(t)
	info, err := os.Stat(running.dir + "/demo.json")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Len(t, running.Customers, 11)
	require.Len(t, running.Databases, 4)
}

// ADR 14: any authenticated request keeps its session from going idle, also one that the auth service never sees.
func TestUsingABillKeepsTheSessionAlive(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "unknown", 0)
	token := login(t, who)
	db, err := pgx.Connect(t.Context(), running.Databases["auth"])
	require.NoError(t, err)
	defer func() { _ = db.Close(context.Background()) }()
	_, err = db.Exec(t.Context(), `UPDATE sessions SET last_seen_at = now() - interval '20 minutes' WHERE user_id = $1`,
		who.UserID)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/bills/menu", token, nil).status)
	require.Eventually(t, func() bool {
		var idle time.Duration
		err := db.QueryRow(t.Context(), `SELECT now() - max(last_seen_at) FROM sessions WHERE user_id = $1`,
			who.UserID).Scan(&idle)
		return err == nil && idle < time.Minute
	}, 15*time.Second, 200*time.Millisecond)
}
