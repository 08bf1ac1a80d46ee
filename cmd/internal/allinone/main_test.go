package allinone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/devservers"
	"phonebill/adapters/rest/resttest"
	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/devstack"
)

// The whole system runs once for all tests of this package: in this process, on a PostgreSQL and a cache of its own, on
// any free ports. A bare `go test` skips, `make test` does not.
var running struct {
	devstack.DemoFile
	dir  string
	logs *safeBuffer
}

func TestMain(m *testing.M) {
	if os.Getenv("PHONEBILL_TEST_REQUIRED") == "" {
		os.Exit(m.Run())
	}
	code, err := withSystem(m.Run)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withSystem(tests func() int) (int, error) {
	dir, err := devservers.TempDir("phonebill-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	running.dir, running.logs = dir, &safeBuffer{}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- allinone.Run(ctx, testEnv(dir), io.Discard, boot.Logger(running.logs, "debug", "json"))
	}()
	if running.DemoFile, err = awaitFile(filepath.Join(dir, allinone.DemoFile), done); err != nil {
		return 1, err
	}
	code := tests()
	stop()
	return code, <-done
}

// testEnv takes any free ports, lifts the KOS budget and the limits of users, and makes password hashes cheap, so that
// parallel tests do not wait for each other. What a hash costs is tested in adapters/credentials and measured by the
// bench (S6).
func testEnv(dir string) boot.Env {
	vars := map[string]string{
		boot.Environment: "development", "PHONEBILL_DATA": dir, "KOS_QUOTA_PER_MINUTE": "0",
		"ARGON2_MEMORY_KIB": "8", "ARGON2_PASSES": "1", "RATE_LIMITS": "DEFAULT=1000000",
	}
	for _, key := range []string{
		"GATEWAY_ADDR", "GATEWAY_INTERNAL_ADDR", "AUTH_ADDR", "AUTH_INTERNAL_ADDR", "BILL_ADDR",
		"BILL_INTERNAL_ADDR", "PRODUCT_ADDR",
		"PRODUCT_INTERNAL_ADDR", "KOS_ADDR", "KOS_CONTROL_ADDR", "MVNOAP_ADDR", "MVNOAP_CONTROL_ADDR",
	} {
		vars[key] = "127.0.0.1:0"
	}
	return func(key string) string { return vars[key] }
}

func awaitFile(path string, done <-chan error) (devstack.DemoFile, error) {
	for range 600 {
		if f, err := devstack.ReadDemo(path); err == nil {
			return f, nil
		}
		select {
		case err := <-done:
			return devstack.DemoFile{}, errors.Join(errors.New("the system ended before it was ready"), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return devstack.DemoFile{}, errors.New("the system does not get ready")
}

func needSystem(t *testing.T) {
	t.Helper()
	if running.dir == "" {
		t.Skip("needs PostgreSQL and a cache: run `make test`")
	}
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	raw    string
	body   struct {
		Success bool           `json:"success"`
		Message string         `json:"message"`
		Data    map[string]any `json:"data"`
		Error   struct {
			Code    string            `json:"code"`
			Message string            `json:"message"`
			TraceID string            `json:"traceId"`
			Path    string            `json:"path"`
			Details map[string]string `json:"details"`
			Fields  []struct {
				Field  string `json:"field"`
				Reason string `json:"reason"`
			} `json:"fields"`
		} `json:"error"`
	}
}

func (r reply) data(path ...string) any {
	var v any = r.body.Data
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

func (r reply) text(path ...string) string {
	s, _ := r.data(path...).(string)
	return s
}

// refusal is the code and the reason of an error.
func (r reply) refusal() string { return r.body.Error.Code + " " + r.body.Error.Details["reason"] }

// planChange is the body of a plan change.
func planChange(number, from, to string) fields {
	return fields{"lineNumber": number, "currentProductCode": from, "targetProductCode": to}
}

// call talks to the gateway as a front end does. body is sent as it is when it is a string, else as JSON.
func call(t *testing.T, method, path, token string, body any) reply {
	t.Helper()
	return callAt(t, running.BaseURL+"/api/v1", method, path, token, body)
}

// callWith is call with more headers.
func callWith(t *testing.T, method, path, token string, body any, headers http.Header) reply {
	t.Helper()
	return send(t, running.BaseURL+"/api/v1", method, path, token, body, headers)
}

func callAt(t *testing.T, base, method, path, token string, body any) reply {
	t.Helper()
	return send(t, base, method, path, token, body, nil)
}

// send checks the response against the specification that has the operation.
func send(t *testing.T, base, method, path, token string, body any, headers http.Header) reply {
	t.Helper()
	var payload io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		payload = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		require.NoError(t, err)
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, payload)
	require.NoError(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(req.Header, headers)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	if spec := resttest.Of(t, req); spec != nil && strings.HasPrefix(base, running.BaseURL) {
		resttest.Validate(t, spec, req, res)
	}
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, errors.Join(err, res.Body.Close()))
	r := reply{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if res.StatusCode == http.StatusNotModified {
		return r
	}
	require.NoErrorf(t, json.Unmarshal(raw, &r.body), "%s %s answered %d without the envelope: %s", method, path,
		res.StatusCode, raw)
	return r
}

// customer finds a demo account by scenario; of the normal ones nth picks one, so that tests share no line.
func customer(t *testing.T, scenario string, nth int) devstack.Login {
	t.Helper()
	for _, c := range running.Customers {
		if c.Scenario == scenario {
			if nth == 0 {
				return c
			}
			nth--
		}
	}
	require.FailNow(t, "no such demo customer", scenario)
	return devstack.Login{}
}

func login(t *testing.T, c devstack.Login) (token string) {
	t.Helper()
	if c.TOTPSecret != "" {
		return staffLogin(t, c)
	}
	r := call(t, http.MethodPost, "/auth/login", "", map[string]string{"userId": c.UserID, "password": c.Password})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	return r.text("accessToken")
}

// staffTokens holds one token per staff account: a code is accepted once, so the tests share a login.
var staffTokens = struct {
	sync.Mutex
	of map[string]string
}{of: map[string]string{}}

func staffLogin(t *testing.T, c devstack.Login) (token string) {
	t.Helper()
	staffTokens.Lock()
	defer staffTokens.Unlock()
	if staffTokens.of[c.UserID] == "" {
		otp := func(later int64) map[string]string {
			return map[string]string{"userId": c.UserID, "password": c.Password, "otp": code(t, c.TOTPSecret, later)}
		}
		r := call(t, http.MethodPost, "/auth/login", "", otp(0))
		if r.status != http.StatusOK { // the demo's journey may just have used that code
			r = call(t, http.MethodPost, "/auth/login", "", otp(1))
		}
		require.Equal(t, http.StatusOK, r.status, r.raw)
		staffTokens.of[c.UserID] = r.text("accessToken")
	}
	return staffTokens.of[c.UserID]
}

// code is what an authenticator app shows now, or some steps of 30 s later.
func code(t *testing.T, secret string, later int64) string {
	t.Helper()
	c, err := hotp.GenerateCode(secret, uint64(time.Now().Unix()/30+later))
	require.NoError(t, err)
	return c
}
