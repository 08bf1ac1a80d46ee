package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/core/fault"
	"phonebill/openapi"
	"phonebill/ports"
)

var update = flag.Bool("update", false, "rewrite docs/errors.md from the catalogue")

func fixed() time.Time { return time.Date(2026, 3, 15, 10, 30, 0, 0, time.FixedZone("KST", 9*60*60)) }

func write(t *testing.T, log *bytes.Buffer, err error, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := rest.NewProblemWriter(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), fixed)
	req := httptest.NewRequest(http.MethodGet, "/api/v1/products/customer/01012345678?secret=1", nil)
	req = req.WithContext(ports.WithTrace(req.Context(), ports.Trace{RequestID: "r-1", TraceID: strings.Repeat("a", 32)}))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.Write(rec, req, err)
	return rec
}

// TestEveryCodeIsPublished keeps catalogue, specification and document the same.
func TestEveryCodeIsPublished(t *testing.T) {
	t.Parallel()
	spec, err := contract.Load(openapi.Common)
	require.NoError(t, err)
	var doc strings.Builder
	doc.WriteString("" +
		"# Error codes\n" +
		"\nGenerated from `core/fault`; rewrite it with `go test ./adapters/rest -update`. Messages are shown to\n" +
		"customers as they are; a few operations put a more exact one in their place.\n" +
		"\nWhat is not HTTP at all never reaches the API: a malformed request line or header is answered `400 Bad\n" +
		"Request`, more than 16 KiB of headers `431`, an unknown transfer coding `501`, another HTTP version `505`, an\n" +
		"unknown expectation `417`, all as plain text or without a body on a connection that is then closed.\n\n" +
		"| code | status | message | meaning |\n|---|---|---|---|\n")
	var specified, known []string
	for _, e := range fault.Catalogue() {
		fmt.Fprintf(&doc, "| `%s` | %d | %s | %s |\n", e.Code, rest.Status(e.Kind), e.Message, e.Meaning)
		known = append(known, string(e.Code))
	}
	for _, v := range spec.Components.Schemas["ErrorCode"].Value.Enum {
		specified = append(specified, fmt.Sprint(v))
	}
	require.ElementsMatch(t, known, specified, "ErrorCode in openapi/common.yaml")
	const path = "../../docs/errors.md"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(doc.String()), 0o600))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, doc.String(), string(have), "docs/errors.md is old: go test ./adapters/rest -update")
}

func TestStatusOfEveryKind(t *testing.T) {
	t.Parallel()
	for kind, status := range map[fault.Kind]int{
		fault.Internal: 500, fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404,
		fault.MethodNotAllowed: 405, fault.Conflict: 409, fault.TooSlow: 408, fault.TooLarge: 413,
		fault.Unprocessable: 422, fault.RateLimited: 429,
		fault.Unavailable: 503, fault.BadGateway: 502, fault.GatewayTimeout: 504, fault.Kind(200): 500,
	} {
		require.Equal(t, status, rest.Status(kind))
	}
}

func TestEnvelopeSaysWhatIsSafeAndNothingElse(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	err := fmt.Errorf(
		"wrapped: %w", fault.New(fault.ChangeInProgress).WithDetail("requestId", "42").Because(errors.New("pgconn: secret")),
	)
	rec := write(t, &log, err)
	require.Equal(t, 409, rec.Code)
	require.JSONEq(t,
		`{"success":false,"error":{"code":"CHANGE_IN_PROGRESS","message":"이미 진행 중인 상품 변경 요청이 있습니다",
		"details":{"requestId":"42"},"timestamp":"2026-03-15T01:30:00Z","path":"/api/v1/products/customer/01012345678",
		"traceId":"`+strings.Repeat("a", 32)+`"}}`, rec.Body.String())
	require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	require.NotContains(t, log.String(), "01012345678", "the log names routes, not paths")
	require.NotContains(t, log.String(), "secret", "what is not our fault is logged without cause")
}

func TestOurFaultIsLoggedWithItsCause(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		errors.New("secret cause"), fault.New(fault.ServiceUnavailable).Because(errors.New("secret cause")),
	} {
		var log bytes.Buffer
		rec := write(t, &log, err)
		require.NotContains(t, rec.Body.String(), "secret")
		require.Contains(t, log.String(), `"level":"ERROR"`)
		require.Contains(t, log.String(), "secret cause")
		require.Equal(t, 1, strings.Count(log.String(), "\n"))
	}
	require.Equal(t, 500, write(t, &bytes.Buffer{}, nil).Code, "no error is a bug as well")
}

func TestHeadersByStatus(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err           error
		header, value string
	}{
		"no token": {fault.New(fault.Unauthorized), "WWW-Authenticate", `Bearer realm="phonebill"`},
		"bad token": {fault.New(
			fault.TokenRevoked,
		), "WWW-Authenticate", `Bearer realm="phonebill", error="invalid_token"`},
		"rate unknown":  {fault.New(fault.RateLimitExceeded), "Retry-After", "3"},
		"rounded up":    {fault.New(fault.ServiceUnavailable).RetryIn(1100 * time.Millisecond), "Retry-After", "2"},
		"not otherwise": {fault.New(fault.ResourceNotFound).RetryIn(time.Second), "Retry-After", ""},
	} {
		rec := write(t, &bytes.Buffer{}, c.err)
		require.Equal(t, c.value, rec.Header().Get(c.header), name)
	}
}

func TestAcceptChoosesTheForm(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"":                         "application/json",
		"*/*":                      "application/json",
		"application/problem+json": "application/problem+json",
		"application/json, application/problem+json":             "application/problem+json",
		"application/json, application/problem+json;q=0.5":       "application/json",
		"application/problem+json;q=0":                           "application/json",
		"application/problem+json;q=x, text/html;;":              "application/json",
		"Application/Problem+JSON; q=0.9, application/json;q=.1": "application/problem+json",
	} {
		rec := write(t, &bytes.Buffer{}, fault.InvalidField("page", "1 이상이어야 합니다"), "Accept", accept)
		require.Equal(t, want, rec.Header().Get("Content-Type"), accept)
		var body map[string]any
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &body))
		_, isEnvelope := body["error"]
		require.Equal(t, want == "application/json", isEnvelope, accept)
	}
}

func TestBodyOverTheLimitInsideAHandler(t *testing.T) {
	t.Parallel()
	rec := write(t, &bytes.Buffer{}, fmt.Errorf("decode: %w", &http.MaxBytesError{Limit: 1}))
	require.Equal(t, http.StatusRequestEntityTooLarge, rec.Code)
}

func TestMalformedRequestIsNotOurFault(t *testing.T) {
	t.Parallel()
	w := rest.NewProblemWriter(slog.New(slog.DiscardHandler), fixed)
	for err, status := range map[error]int{
		errors.New("can't decode JSON body"): 400, //nolint:err113 // as oapi-codegen makes it
		fault.New(fault.ResourceNotFound):    404,
	} {
		rec := httptest.NewRecorder()
		w.WriteMalformed(rec, httptest.NewRequest(http.MethodPost, "/", nil), err)
		require.Equal(t, status, rec.Code)
		require.NotContains(t, rec.Body.String(), "decode")
	}
}

func TestCallerWhoLeftIsNoFailure(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := rest.NewProblemWriter(slog.New(slog.NewJSONHandler(&log, nil)), fixed)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := httptest.NewRecorder()
	w.Write(rec, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx), fmt.Errorf("query: %w", context.Canceled))
	require.Equal(t, rest.StatusClientGone, rec.Code)
	require.Empty(t, log.String())
}
