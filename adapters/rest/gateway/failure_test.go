package gateway_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/middleware"
	"phonebill/adapters/rest/resttest"
	"phonebill/openapi"
)

// nobody is an origin where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	gone, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	return "http://" + gone.Addr().String()
}

// TestADeadServiceHasTheTextOfTheStory and says when to come again.
func TestADeadServiceHasTheTextOfTheStory(t *testing.T) {
	t.Parallel()
	for call, text := range map[string]string{
		"GET /bills/menu":                      "요금 조회 메뉴 로딩에 실패하였습니다",
		"POST /bills/inquiry":                  "요금 조회 신청에 실패하였습니다",
		"GET /bills/history":                   "일시적으로 서비스를 이용할 수 없습니다",
		"GET /products/menu":                   "상품 변경 요청 메뉴 로딩에 실패하였습니다",
		"GET /products/customer/010-1234-5678": "상품 변경 화면 접속에 실패하였습니다",
		"GET /products/available":              "상품 변경 화면 접속에 실패하였습니다",
		"POST /products/change/validation":     "상품 사전 체크에 실패하였습니다",
		"POST /products/change":                "상품 변경 요청을 실패하였습니다",
		"POST /auth/login":                     "일시적으로 서비스를 이용할 수 없습니다",
	} {
		c := config()
		c.Auth, c.Bill = proxy(t, openapi.Auth, nobody(t)), proxy(t, openapi.Bill, nobody(t))
		c.Product = proxy(t, openapi.Product, nobody(t))
		method, path, _ := strings.Cut(call, " ")
		req := httptest.NewRequest(method, "/api/v1"+path, strings.NewReader("{}"))
		if method == http.MethodGet {
			req = httptest.NewRequest(method, "/api/v1"+path, http.NoBody)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer good")
		rec := httptest.NewRecorder()
		newGateway(t, c).ServeHTTP(rec, req)
		res := rec.Result()
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, call)
		require.Equal(t, "1", res.Header.Get("Retry-After"), call)
		if strings.Contains(path, "/bills") {
			resttest.Validate(t, resttest.Bill(t), req, res)
		}
		got := body(t, res)
		require.Contains(t, got, text, call)
		require.Contains(t, got, `"code":"SERVICE_UNAVAILABLE"`, call)
	}
}

// TestAnUnknownOutcomeIsNotCalledAFailure: the service took the request and broke off.
func TestAnUnknownOutcomeIsNotCalledAFailure(t *testing.T) {
	t.Parallel()
	var taken atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		taken.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(srv.Close)
	other := httptest.NewServer(srv.Config.Handler)
	t.Cleanup(other.Close)
	req := httptest.NewRequest(http.MethodPost, "/api/v1/bills/inquiry", strings.NewReader("{}"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer good")
	req.Header.Set("Idempotency-Key", "01890000-0000-7000-8000-000000000001")
	rec := httptest.NewRecorder()
	proxied(t, srv.URL, other.URL).ServeHTTP(rec, req)
	res := rec.Result()
	require.Equal(t, http.StatusBadGateway, res.StatusCode)
	require.Empty(t, res.Header.Get("Retry-After"), "no client should send it again by itself")
	resttest.Validate(t, resttest.Bill(t), req, res)
	got := body(t, res)
	require.Contains(t, got, `"code":"BAD_GATEWAY"`)
	require.Contains(t, got, "이력에서 결과를 확인")
	require.NotContains(t, got, "실패")
	require.Equal(t, int64(1), taken.Load(), "sent once")
}

// TestAClientDoesNotSayHowMuchTimeItHas, also not behind a load balancer that is believed.
func TestAClientDoesNotSayHowMuchTimeItHas(t *testing.T) {
	t.Parallel()
	said := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		said <- r.Header.Get(middleware.TimeoutHeader) + " " + r.Header.Get("Expect")
	}))
	t.Cleanup(srv.Close)
	req := httptest.NewRequest(http.MethodPost, "/api/v1/bills/inquiry", strings.NewReader("{}"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer good")
	req.Header.Set(middleware.TimeoutHeader, "1")
	req.Header.Set("Expect", "100-continue")
	rec := httptest.NewRecorder()
	proxied(t, srv.URL).ServeHTTP(rec, req)
	require.Equal(t, http.StatusOK, rec.Code)
	require.Regexp(t, `^2[78]\d\d $`, <-said)
}
