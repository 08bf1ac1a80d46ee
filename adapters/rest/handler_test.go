package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/internal/billgen"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/fault"
)

var epoch = time.Date(2026, 3, 15, 1, 30, 0, 0, time.UTC)

// gate lets the token "good" pass, and "billless" where no permission is asked for.
type gate struct{}

func (gate) Authenticate(ctx context.Context, bearer, permission string, _ ...string) (context.Context, error) {
	switch {
	case bearer == "good", bearer == "billless" && permission == "":
		return ctx, nil
	case bearer == "billless":
		return nil, fault.New(fault.PermissionDenied)
	case bearer == "old":
		return nil, fault.New(fault.TokenExpired)
	default:
		return nil, fault.New(fault.TokenInvalid)
	}
}

// bills serves every operation in the simplest way; inquire can be replaced.
type bills struct {
	inquire func(context.Context, billgen.InquireBillRequestObject) (billgen.InquireBillResponseObject, error)
}

func (b bills) InquireBill(
	ctx context.Context, r billgen.InquireBillRequestObject,
) (billgen.InquireBillResponseObject, error) {
	return b.inquire(ctx, r)
}

func (bills) GetBillInquiry(
	_ context.Context, r billgen.GetBillInquiryRequestObject,
) (billgen.GetBillInquiryResponseObject, error) {
	const message = "요금조회를 처리하고 있습니다"
	return billgen.GetBillInquiry200JSONResponse{Success: true, Message: message, Data: billgen.BillInquiryStatusData{
		RequestID: r.RequestID, Status: billgen.InquiryStatusPROCESSING, Progress: 50, LineNumber: "010-1234-5678",
		InquiryMonth: "2026-03",
	}}, nil
}

func (bills) GetBillMenu(context.Context, billgen.GetBillMenuRequestObject) (billgen.GetBillMenuResponseObject, error) {
	return nil, fault.New(fault.ServiceUnavailable).RetryIn(1500 * time.Millisecond).Because(errors.New("secret cause"))
}

func (bills) GetBill(context.Context, billgen.GetBillRequestObject) (billgen.GetBillResponseObject, error) {
	return nil, fault.New(fault.BillNotFound)
}

func (bills) ListBillHistory(
	context.Context, billgen.ListBillHistoryRequestObject,
) (billgen.ListBillHistoryResponseObject, error) {
	data := billgen.BillHistoryData{Items: []billgen.BillHistoryItem{}}
	data.Pagination.Page, data.Pagination.Size = 1, 20
	return billgen.ListBillHistory200JSONResponse{
		Success: true, Message: "요금조회 이력을 조회하였습니다", Data: data,
	}, nil
}

func accepted(_ context.Context, _ billgen.InquireBillRequestObject) (billgen.InquireBillResponseObject, error) {
	const message = "요금조회 요청이 접수되었습니다"
	return billgen.InquireBill202JSONResponse{
		Headers: billgen.InquireBill202ResponseHeaders{Location: "/api/v1/bills/inquiry/x", RetryAfter: 3},
		Body: billgen.BillInquiryAcceptedEnvelope{Success: true, Message: message, Data: billgen.BillInquiryAcceptedData{
			Status: billgen.BillInquiryAcceptedDataStatusPROCESSING, EstimatedSeconds: 5,
		}},
	}, nil
}

func mount(api billgen.StrictServerInterface) func(*contract.Router, rest.Hooks) {
	return func(to *contract.Router, hooks rest.Hooks) {
		strict := billgen.NewStrictHandlerWithOptions(api, nil, billgen.StrictHTTPServerOptions{
			RequestErrorHandlerFunc: hooks.Request, ResponseErrorHandlerFunc: hooks.Response,
		})
		billgen.HandlerWithOptions(strict, billgen.StdHTTPServerOptions{
			BaseURL: to.Base(), BaseRouter: to, ErrorHandlerFunc: hooks.Request,
		})
	}
}

func newHandler(t testing.TB, log io.Writer, registry *prometheus.Registry, inquire func(context.Context,
	billgen.InquireBillRequestObject) (billgen.InquireBillResponseObject, error),
) http.Handler {
	t.Helper()
	h, err := rest.NewHandler(rest.Service{
		Spec: resttest.Bill(t), Mount: mount(bills{inquire}), Authenticator: gate{}, Registry: registry,
		Log:   slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Clock: func() time.Time { return epoch },
		Unspecified: map[string]http.Handler{"/health": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "ok")
		})},
	})
	require.NoError(t, err)
	return h
}

type answer struct {
	Success bool
	Message string
	Error   struct {
		Code, Message, Timestamp, Path, TraceID string
		Fields                                  []struct{ Field, Reason string }
	}
}

func (a answer) fields() []string {
	out := []string{}
	for _, f := range a.Error.Fields {
		out = append(out, f.Field)
	}
	return out
}

// send makes the request, holds the answer against the specification and reads it.
func send(t testing.TB, h http.Handler, req *http.Request) (*http.Response, answer) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	res := rec.Result()
	resttest.Validate(t, resttest.Bill(t), req, res)
	var a answer
	require.NoError(t, json.NewDecoder(res.Body).Decode(&a))
	return res, a
}

func request(method, path, body string, headers ...string) *http.Request {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer good")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

const inquiryPath = "/api/v1/bills/inquiry"

func TestBadInputIsRefusedWithTheFieldNamed(t *testing.T) {
	t.Parallel()
	h := newHandler(t, io.Discard, prometheus.NewRegistry(), accepted)
	post := func(body string, headers ...string) *http.Request {
		return request("POST", inquiryPath, body, headers...)
	}
	get := func(path string) *http.Request { return request("GET", "/api/v1/bills"+path, "") }
	for name, c := range map[string]struct {
		req    *http.Request
		fields []string
	}{
		"malformed":          {post(`{"lineNumber":`), []string{"body"}},
		"no json":            {post(`lineNumber=1`), []string{"body"}},
		"trailing comma":     {post(`{"lineNumber":"01012345678",}`), []string{"body"}},
		"trailing junk":      {post(`{"lineNumber":"01012345678"} x`), []string{"body"}},
		"two values":         {post(`{"lineNumber":"01012345678"}{}`), []string{"body"}},
		"empty body":         {post(``), []string{"body"}},
		"null":               {post(`null`), []string{"body"}},
		"array":              {post(`[]`), []string{"body"}},
		"deep":               {post(strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000)), []string{"body"}},
		"deep array":         {post(strings.Repeat(`[`, 5000)), []string{"body"}},
		"invalid utf-8":      {post("{\"lineNumber\":\"\xff\"}"), []string{"body"}},
		"nul":                {post(`{"lineNumber":"0101234\u00005678"}`), []string{"lineNumber"}},
		"key twice":          {post(`{"lineNumber":"01012345678","lineNumber":"01012345679"}`), []string{"lineNumber"}},
		"unknown field":      {post(`{"lineNumber":"01012345678","inquiryMont":"2026-03"}`), []string{"inquiryMont"}},
		"other case":         {post(`{"linenumber":"01012345678"}`), []string{"lineNumber", "linenumber"}},
		"missing":            {post(`{}`), []string{"lineNumber"}},
		"wrong type":         {post(`{"lineNumber":1012345678}`), []string{"lineNumber"}},
		"null field":         {post(`{"lineNumber":null}`), []string{"lineNumber"}},
		"object field":       {post(`{"lineNumber":{"a":1}}`), []string{"lineNumber"}},
		"month 13":           {post(`{"lineNumber":"01012345678","inquiryMonth":"2026-13"}`), []string{"inquiryMonth"}},
		"month and line":     {post(`{"lineNumber":"1","inquiryMonth":"2026-3"}`), []string{"inquiryMonth", "lineNumber"}},
		"content type":       {post(`{}`, "Content-Type", "text/plain"), []string{"Content-Type"}},
		"charset":            {post(`{}`, "Content-Type", "application/json; charset=euc-kr"), []string{"Content-Type"}},
		"compressed":         {post(`{}`, "Content-Encoding", "gzip"), []string{"Content-Encoding"}},
		"bad uuid":           {get("/inquiry/not-a-uuid"), []string{"requestId"}},
		"nul in path":        {get("/inquiry/%00"), []string{"requestId"}},
		"wait too long":      {get("/inquiry/01940c2e-8a54-7d3c-b1a0-5f0f6f1f2a3b?wait=26"), []string{"wait"}},
		"wait negative":      {get("/inquiry/01940c2e-8a54-7d3c-b1a0-5f0f6f1f2a3b?wait=-1"), []string{"wait"}},
		"page 0":             {get("/history?page=0"), []string{"page"}},
		"size 101":           {get("/history?size=101"), []string{"size"}},
		"page and size":      {get("/history?size=0&page=x"), []string{"page", "size"}},
		"page as float":      {get("/history?page=1.0"), []string{"page"}},
		"page twice":         {get("/history?page=1&page=2"), []string{"page"}},
		"page empty":         {get("/history?page="), []string{"page"}},
		"page huge":          {get("/history?page=99999999999999999999"), []string{"page"}},
		"bad date":           {get("/history?startDate=2026-02-30"), []string{"startDate"}},
		"bad state":          {get("/history?status=DONE"), []string{"status"}},
		"bad line":           {get("/history?lineNumber=123"), []string{"lineNumber"}},
		"utf-8 in the query": {get("/history?lineNumber=%ff"), []string{"lineNumber"}},
		"broken query":       {get("/history?page=%zz"), []string{"query"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res, a := send(t, h, c.req)
			require.Equal(t, http.StatusBadRequest, res.StatusCode)
			require.Equal(t, "VALIDATION_ERROR", a.Error.Code)
			require.ElementsMatch(t, c.fields, a.fields())
			for _, f := range a.Error.Fields {
				require.NotContains(t, f.Reason, "Schema")
				require.NotContains(t, f.Reason, "\n")
				require.Regexp(t, `\p{Hangul}`, f.Reason)
			}
		})
	}
}

func TestReasonsSayWhatIsWanted(t *testing.T) {
	t.Parallel()
	h := newHandler(t, io.Discard, prometheus.NewRegistry(), accepted)
	for path, reason := range map[string]string{
		"/history?page=0":               "1 이상이어야 합니다",
		"/history?size=101":             "100 이하여야 합니다",
		"/history?page=x":               "정수여야 합니다",
		"/history?status=DONE":          "PROCESSING, COMPLETED, FAILED 중 하나여야 합니다",
		"/history?endDate=2026-13-01":   "YYYY-MM-DD 형식의 올바른 날짜여야 합니다",
		"/history?lineNumber=0101234":   "01012345678 또는 010-1234-5678 형식이어야 합니다",
		"/inquiry/1":                    "올바른 UUID 형식이어야 합니다",
		"/history?page=1&page=1":        "한 번만 보낼 수 있습니다",
		"/history?startDate=":           "값이 비어 있습니다",
		"/history?lineNumber=a%00b":     "사용할 수 없는 문자가 있습니다",
		"/history?page=10001":           "10000 이하여야 합니다",
		"/history?startDate=2026-02-29": "YYYY-MM-DD 형식의 올바른 날짜여야 합니다",
	} {
		_, a := send(t, h, request("GET", "/api/v1/bills"+path, ""))
		require.Len(t, a.Error.Fields, 1, path)
		require.Equal(t, reason, a.Error.Fields[0].Reason, path)
	}
}

func TestRoutingAndCallersAreCheckedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	h := newHandler(t, io.Discard, prometheus.NewRegistry(), accepted)
	noToken := request("POST", inquiryPath, `{"bad`)
	noToken.Header.Del("Authorization")
	twice := request("POST", inquiryPath, `{}`)
	twice.Header.Add("Authorization", "Bearer good")
	for name, c := range map[string]struct {
		req    *http.Request
		status int
		code   string
		header [2]string
	}{
		"unknown path":   {request("GET", "/api/v1/nothing", ""), 404, "NOT_FOUND", [2]string{}},
		"outside":        {request("GET", "/", ""), 404, "NOT_FOUND", [2]string{}},
		"trailing slash": {request("GET", "/api/v1/bills/menu/", ""), 404, "NOT_FOUND", [2]string{}},
		"double slash":   {request("GET", "/api/v1//bills/menu", ""), 404, "NOT_FOUND", [2]string{}},
		"dots":           {request("GET", "/api/v1/x/../bills/menu", ""), 404, "NOT_FOUND", [2]string{}},
		"wrong method":   {request("GET", inquiryPath, ""), 405, "METHOD_NOT_ALLOWED", [2]string{"Allow", "POST"}},
		"get and head": {request("DELETE", "/api/v1/bills/menu", ""), 405, "METHOD_NOT_ALLOWED", [2]string{
			"Allow", "GET, HEAD",
		}},
		"unheard method": {request("BREW", inquiryPath, ""), 405, "METHOD_NOT_ALLOWED", [2]string{"Allow", "POST"}},
		"no token":       {noToken, 401, "UNAUTHORIZED", [2]string{"WWW-Authenticate", `Bearer realm="phonebill"`}},
		"basic": {request(
			"POST", inquiryPath, `{`, "Authorization", "Basic eA==",
		), 401, "UNAUTHORIZED", [2]string{}},
		"empty token": {request("POST", inquiryPath, `{`, "Authorization", "Bearer "), 401, "TOKEN_INVALID", [2]string{}},
		"two tokens":  {twice, 401, "TOKEN_INVALID", [2]string{}},
		"expired": {
			request("POST", inquiryPath, `{`, "Authorization", "bearer old"), 401, "TOKEN_EXPIRED",
			[2]string{"WWW-Authenticate", `Bearer realm="phonebill", error="invalid_token"`},
		},
		"no permission": {request(
			"POST", inquiryPath, `{`, "Authorization", "Bearer billless",
		), 403, "FORBIDDEN", [2]string{}},
		"backend away": {request("GET", "/api/v1/bills/menu", ""), 503, "SERVICE_UNAVAILABLE", [2]string{
			"Retry-After", "2",
		}},
		"body over limit": {request(
			"POST", inquiryPath, strings.Repeat(" ", 64<<10+1),
		), 413, "PAYLOAD_TOO_LARGE", [2]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res, a := send(t, h, c.req)
			require.Equal(t, c.status, res.StatusCode)
			require.Equal(t, c.code, a.Error.Code)
			require.Equal(t, "2026-03-15T01:30:00Z", a.Error.Timestamp)
			require.Equal(t, c.req.URL.Path, a.Error.Path)
			require.NotContains(t, a.Error.Message, "secret")
			if c.header[0] != "" {
				require.Equal(t, c.header[1], res.Header.Get(c.header[0]))
			}
		})
	}
}

func TestChunkedBodyOverTheLimit(t *testing.T) {
	t.Parallel()
	h := newHandler(t, io.Discard, prometheus.NewRegistry(), accepted)
	req := request("POST", inquiryPath, strings.Repeat(" ", 64<<10+1))
	req.ContentLength = -1
	res, a := send(t, h, req)
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	require.Equal(t, "PAYLOAD_TOO_LARGE", a.Error.Code)
}

func TestGoodRequestReachesTheHandler(t *testing.T) {
	t.Parallel()
	var got billgen.BillInquiryRequest
	h := newHandler(t, io.Discard, prometheus.NewRegistry(), func(
		ctx context.Context, r billgen.InquireBillRequestObject,
	) (
		billgen.InquireBillResponseObject, error,
	) {
		got = *r.Body
		return accepted(ctx, r)
	})
	res, a := send(t, h, request("POST", inquiryPath, `{"lineNumber":"010-1234-5678","inquiryMonth":"2026-02"}`))
	require.Equal(t, http.StatusAccepted, res.StatusCode)
	require.True(t, a.Success)
	require.Equal(t, "3", res.Header.Get("Retry-After"))
	require.Equal(t, "010-1234-5678", got.LineNumber)
	require.Equal(t, "2026-02", *got.InquiryMonth)
	for _, path := range []string{
		"/history?page=2&size=100&status=FAILED", "/inquiry/01940c2e-8a54-7d3c-b1a0-5f0f6f1f2a3b?wait=25",
	} {
		res, _ = send(t, h, request("GET", "/api/v1/bills"+path, ""))
		require.Equal(t, http.StatusOK, res.StatusCode)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/health", nil))
	require.Equal(t, "ok", rec.Body.String())
}

func TestProblemJSONCarriesTheSameFacts(t *testing.T) {
	t.Parallel()
	h := newHandler(t, io.Discard, prometheus.NewRegistry(), accepted)
	req := request("POST", inquiryPath, `{}`, "Accept", "application/problem+json, application/json;q=0.5")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	res := rec.Result()
	resttest.Validate(t, resttest.Bill(t), req, res)
	require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
	var p map[string]any
	require.NoError(t, json.NewDecoder(res.Body).Decode(&p))
	require.Equal(t, "VALIDATION_ERROR", p["code"])
	require.InDelta(t, 400, p["status"], 0)
	require.Equal(t, "urn:phonebill:problem:VALIDATION_ERROR", p["type"])
	require.NotEmpty(t, p["fields"])
}

func TestPanicIsAPlain500AndLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	h := newHandler(t, &log, registry, func(context.Context, billgen.InquireBillRequestObject) (
		billgen.InquireBillResponseObject, error,
	) {
		panic("secret state")
	})
	req := request("POST", inquiryPath, `{"lineNumber":"01012345678"}`, "X-Request-Id", "my-id.1")
	res, a := send(t, h, req)
	require.Equal(t, http.StatusInternalServerError, res.StatusCode)
	require.Equal(t, "처리 중 오류가 발생하였습니다", a.Error.Message)
	require.Equal(t, "my-id.1", res.Header.Get("X-Request-Id"))
	require.Contains(t, log.String(), "secret state")
	require.Contains(t, log.String(), `"httpRequestId":"my-id.1"`)
	require.Contains(t, log.String(), `"route":"POST /api/v1/bills/inquiry"`)
	require.NotContains(t, log.String(), "01012345678")
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.Contains(t, families[0].String(), "5xx")
}

func TestHandlersAndSpecificationMustMatch(t *testing.T) {
	t.Parallel()
	service := rest.Service{
		Spec: resttest.Bill(t), Authenticator: gate{}, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		Mount: func(to *contract.Router, _ rest.Hooks) { to.HandleFunc("GET /api/v1/bills/secret", nil) },
	}
	_, err := rest.NewHandler(service)
	require.ErrorContains(t, err, "GET /api/v1/bills/secret is not in the specification")
	require.ErrorContains(t, err, "no handler for POST /bills/inquiry")

	service.Mount = mount(bills{accepted})
	_, err = rest.NewHandler(service)
	require.ErrorContains(t, err, "register metrics", "the registry has them from the first try")

	service.Spec = &openapi3.T{}
	_, err = rest.NewHandler(service)
	require.ErrorContains(t, err, "base path")
}

func FuzzNothingIsAServerError(f *testing.F) {
	for _, seed := range []struct{ method, path, query, contentType, body string }{
		{"POST", "/bills/inquiry", "", "application/json", `{"lineNumber":"01012345678","inquiryMonth":"2026-03"}`},
		{"POST", "/bills/inquiry", "", "application/json", "{\"lineNumber\":\"\xff\\ud800\",\"\":1e999}"},
		{"POST", "/bills/inquiry", "", "application/json", `{"lineNumber":["` + strings.Repeat("[", 200)},
		{"GET", "/bills/inquiry/%2e%2e", "wait=9e9", "", ""},
		{"GET", "/bills/history", "page=-0&size=%00&startDate=0000-00-00&status", "a/b;c", "x"},
		{"PATCH", "/../..//", "%", "", ""},
	} {
		f.Add(seed.method, seed.path, seed.query, seed.contentType, seed.body)
	}
	h := newHandler(f, io.Discard, prometheus.NewRegistry(), accepted)
	f.Fuzz(func(t *testing.T, method, path, query, contentType, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://localhost/", strings.NewReader(body))
		if err != nil {
			t.Skip("net/http refuses it before we see it")
		}
		req.URL.Path, req.URL.RawQuery = "/api/v1"+path, query
		req.Header.Set("Authorization", "Bearer good")
		req.Header.Set("Content-Type", contentType)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if path != "/bills/menu" { // answers 503 on purpose
			require.Less(t, rec.Code, 500, rec.Body.String())
		}
		require.Truef(t, json.Valid(rec.Body.Bytes()), "%q", rec.Body.String())
	})
}
