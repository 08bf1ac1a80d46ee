package waf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/gateway/waf"
	"phonebill/core/fault"
	"phonebill/openapi"
)

// screened returns a firewall before a handler that records the body that arrives, and the firewall's log.
func screened(t *testing.T, c waf.Config) (http.Handler, *[]string, *bytes.Buffer, *prometheus.Registry) {
	t.Helper()
	log, m, arrived := &bytes.Buffer{}, prometheus.NewRegistry(), &[]string{}
	c.Base, c.Probes, c.Log, c.Registry = "/api/v1", []string{"/readyz"}, slog.New(slog.NewJSONHandler(log, nil)), m
	f, err := waf.New(c)
	require.NoError(t, err)
	fail := func(w http.ResponseWriter, _ *http.Request, err error) {
		require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
		w.WriteHeader(http.StatusForbidden)
	}
	h := f.Screen(fail)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			body = []byte("failed: " + err.Error())
		}
		*arrived = append(*arrived, string(body))
	}))
	return h, arrived, log, m
}

func send(h http.Handler, method, target, body string) int {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36")
	r.Header.Set("Accept", "application/json, text/plain, */*")
	r.Header.Set("Accept-Language", "ko-KR,ko;q=0.9,en;q=0.8")
	r.Header.Set("Authorization", "Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln")
	r.Header.Set("Cookie", "device=AZQMLopUfTyxoF8PbxvL")
	r.Header.Set("X-Request-Id", "018f3c2e-7d1c-7a00-8000-000000000001")
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "018f3c2e-7d1c-7a00-8000-000000000002")
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code
}

var attacks = []struct{ name, method, target, body string }{
	{"SQL in the query", http.MethodGet, "/api/v1/bills/history?month=1'%20OR%20'1'='1'--%20-", ""},
	{"SQL union in the query", http.MethodGet, "/bills/history?page=1%20UNION%20SELECT%20password%20FROM%20users", ""},
	{"SQL in the body", http.MethodPost, "/api/v1/bills/inquiry", `{"lineNumber":"1' OR 1=1; DROP TABLE users; --"}`},
	{"SQL in the user id", http.MethodPost, "/api/v1/auth/login", `{"userId":"x' OR 'a'='a' --","password":"p"}`},
	{"traversal in the path", http.MethodGet, "/api/v1/bills/..%2f..%2f..%2fetc%2fpasswd", ""},
	{"traversal in the query", http.MethodGet, "/docs/ko/start?file=../../../../etc/passwd", ""},
	{"traversal in the body", http.MethodPost, "/api/v1/products/change", `{"lineNumber":"../../../../etc/shadow"}`},
	{"script in the body", http.MethodPost, "/api/v1/bills/inquiry", `{"lineNumber":"<script>alert(1)</script>"}`},
	{"a command in the query", http.MethodGet, "/api/v1/bills/menu?x=;cat%20/etc/passwd", ""},
}

func TestAttacksAreDetectedOrBlocked(t *testing.T) {
	t.Parallel()
	for _, block := range []bool{false, true} {
		h, arrived, log, m := screened(t, waf.Config{Block: block})
		for _, a := range attacks {
			status, result := send(h, a.method, a.target, a.body), "detected"
			if block {
				result = "blocked"
				require.Equal(t, http.StatusForbidden, status, a.name)
				require.Empty(t, *arrived, a.name)
			} else {
				require.Equal(t, http.StatusOK, status, a.name)
				require.Equal(t, []string{a.body}, *arrived, "%s arrives as it was sent", a.name)
				*arrived = nil
			}
			var line struct {
				Result, Route string
				Rules         []int
			}
			require.NoError(t, json.Unmarshal(log.Bytes(), &line), "%s: one line: %s", a.name, log.String())
			require.Equal(t, []string{result, "/"}, []string{line.Result, line.Route})
			require.NotEmpty(t, line.Rules, a.name)
			for _, secret := range []string{"etc", "DROP", "UNION", "alert", "eyJ", "AZQM", "192.0.2.1", "history"} {
				require.NotContains(t, log.String(), secret, "nothing of the request is logged")
			}
			log.Reset()
		}
		n, err := testutil.GatherAndCount(m, "gateway_waf_requests_total")
		require.NoError(t, err)
		require.Equal(t, 1, n, "every request has the same result")
	}
}

// TestWhatTheSpecificationsShowIsNoAttack sends every example of every operation, in block mode.
func TestWhatTheSpecificationsShowIsNoAttack(t *testing.T) {
	t.Parallel()
	h, _, log, _ := screened(t, waf.Config{Block: true})
	sent := 0
	for _, name := range []string{openapi.Auth, openapi.Bill, openapi.Product, openapi.Operations} {
		spec, err := contract.Load(name)
		require.NoError(t, err)
		for template, item := range spec.Paths.Map() {
			for method, op := range item.Operations() {
				for _, body := range bodies(t, op) {
					target := "/api/v1" + address(template, append(item.Parameters, op.Parameters...))
					require.Equal(t, http.StatusOK, send(h, method, target, body), "%s %s %s: %s", method, target, body, log)
					sent++
				}
			}
		}
	}
	require.Greater(t, sent, 50)
	t.Logf("%d requests, none blocked", sent)
}

// bodies returns the examples of an operation's body, or an empty one.
func bodies(t *testing.T, op *openapi3.Operation) []string {
	t.Helper()
	if op.RequestBody == nil {
		return []string{""}
	}
	var all []string
	media := op.RequestBody.Value.Content.Get("application/json")
	values := []any{media.Example}
	for _, e := range media.Examples {
		values = append(values, e.Value.Value)
	}
	for _, v := range values {
		if v == nil {
			continue
		}
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		all = append(all, string(raw))
	}
	return all
}

// address fills a path with the examples of its parameters.
func address(template string, parameters openapi3.Parameters) string {
	query := "?"
	for _, p := range parameters {
		value := "018f3c2e-7d1c-7a00-8000-000000000001"
		if e := p.Value.Example; e != nil {
			value = strings.Trim(strings.ReplaceAll(strings.TrimSpace(toJSON(e)), " ", "%20"), `"`)
		} else if s := p.Value.Schema; s != nil && s.Value.Example != nil {
			value = strings.Trim(strings.ReplaceAll(toJSON(s.Value.Example), " ", "%20"), `"`)
		}
		switch p.Value.In {
		case openapi3.ParameterInPath:
			template = strings.ReplaceAll(template, "{"+p.Value.Name+"}", value)
		case openapi3.ParameterInQuery:
			query += p.Value.Name + "=" + value + "&"
		}
	}
	return template + strings.TrimRight(query, "?&")
}

func toJSON(v any) string {
	raw, _ := json.Marshal(v) // it was read from JSON or YAML
	return string(raw)
}

// TestSecretsMayLookLikeAnything: a password is compared, never interpreted.
func TestSecretsMayLookLikeAnything(t *testing.T) {
	t.Parallel()
	h, _, log, _ := screened(t, waf.Config{Block: true})
	for _, secret := range []string{`' OR 1=1; DROP TABLE users; --`, `<script>alert(1)</script>`, `../../etc/passwd`} {
		body := toJSON(map[string]string{"userId": "hong-gildong", "password": secret})
		require.Equal(t, http.StatusOK, send(h, http.MethodPost, "/api/v1/auth/login", body), "%s: %s", secret, log)
		body = toJSON(map[string]string{"currentPassword": secret, "newPassword": secret, "otp": "492039"})
		require.Equal(t, http.StatusOK, send(h, http.MethodPost, "/api/v1/auth/password", body), "%s: %s", secret, log)
	}
}

func TestOnlyChosenRoutesAreLookedAt(t *testing.T) {
	t.Parallel()
	h, _, _, m := screened(t, waf.Config{Block: true, Routes: []string{"/auth", "/bills/inquiry"}})
	const attack = "?x=1%20UNION%20SELECT%20password%20FROM%20users"
	for path, want := range map[string]int{
		"/api/v1/auth/login": 403, "/auth/login": 403, "/api/v1/auth": 403, "/%61uth/login": 403, "/bills/inquiry/x": 403,
		"/api/v1/bills/history": 200, "/authority": 200, "/bills/inquiry2": 200, "/readyz": 200,
	} {
		require.Equal(t, want, send(h, http.MethodGet, path+attack, ""), path)
	}
	require.Equal(t, http.StatusOK, send(h, http.MethodGet, "/auth/verify", ""))
	require.NoError(t, testutil.GatherAndCompare(m, strings.NewReader(`
		# HELP gateway_waf_requests_total Requests that the firewall looked at, by route and result.
		# TYPE gateway_waf_requests_total counter
		gateway_waf_requests_total{result="blocked",route="/auth"} 4
		gateway_waf_requests_total{result="blocked",route="/bills/inquiry"} 1
		gateway_waf_requests_total{result="passed",route="/auth"} 1
	`), "gateway_waf_requests_total"))
}

// TestABodyThatCannotBeReadArrivesAsItIs: with what was read, and the error.
func TestABodyThatCannotBeReadArrivesAsItIs(t *testing.T) {
	t.Parallel()
	h, arrived, _, _ := screened(t, waf.Config{Block: true})
	broken := io.MultiReader(strings.NewReader(`{"lineNumber":`), iotest.ErrReader(errors.New("gone")))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/api/v1/bills/inquiry", broken))
	require.Equal(t, []string{"failed: gone"}, *arrived)
	*arrived = nil
	for _, malformed := range []string{`{"lineNumber":`, `[]`, "\x00", strings.Repeat("[", 1000)} {
		require.Equal(t, http.StatusOK, send(h, http.MethodPost, "/api/v1/bills/inquiry", malformed),
			"the contract says what is wrong with it")
	}
	require.Len(t, *arrived, 4)
}
