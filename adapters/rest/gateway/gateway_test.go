package gateway_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/rest/gateway"
	"phonebill/adapters/rest/gateway/pool"
	"phonebill/adapters/rest/opsapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/core/staff/cases"
	"phonebill/openapi"
)

type gate struct{}

func (gate) Authenticate(ctx context.Context, bearer, permission string, _ ...string) (context.Context, error) {
	switch {
	case bearer == "":
		return nil, fault.New(fault.Unauthorized)
	case bearer != "good" && bearer != permission:
		return nil, fault.New(fault.PermissionDenied)
	}
	return ctx, nil
}

// named responds with its name and the path it was asked for.
func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name+" "+r.URL.Path) })
}

func config() gateway.Config {
	own := &opsapi.Handlers{Overview: &cases.Overview{Instances: &memory.Instances{}}}
	return gateway.Config{
		Auth: named("auth"), Bill: named("bill"), Product: named("product"), Operations: own.Mount, Authenticator: gate{},
		Log:    slog.New(slog.DiscardHandler),
		Health: map[string]http.Handler{"/health": named("health")}, Registry: prometheus.NewRegistry(), Clock: time.Now,
	}
}

func newGateway(t *testing.T, c gateway.Config) http.Handler {
	t.Helper()
	h, err := gateway.New(c)
	require.NoError(t, err)
	return h
}

func send(h http.Handler, method, path, bearer string) *http.Response {
	req := httptest.NewRequest(method, path, nil)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return string(raw)
}

func TestRequestsReachTheirService(t *testing.T) {
	t.Parallel()
	h := newGateway(t, config())
	for path, want := range map[string]string{
		"/api/v1/bills/menu": "bill /api/v1/bills/menu", "/api/v1/products/menu": "product /api/v1/products/menu",
		"/api/v1/auth/verify": "auth /api/v1/auth/verify", "/.well-known/jwks.json": "auth /.well-known/jwks.json",
		"/api/v1/.well-known/jwks.json": "auth /api/v1/.well-known/jwks.json", "/health": "health /health",
	} {
		res := send(h, http.MethodGet, path, "good")
		require.Equal(t, http.StatusOK, res.StatusCode, path)
		require.Equal(t, want, body(t, res))
		require.NotEmpty(t, res.Header.Get("X-Request-Id"))
	}
}

func TestTheGatewayAnswersForItselfInTheEnvelope(t *testing.T) {
	t.Parallel()
	h := newGateway(t, config())
	for name, c := range map[string]struct {
		method, path, bearer string
		status               int
		code                 fault.Code
	}{
		"no route":      {http.MethodGet, "/api/v1/nothing", "good", http.StatusNotFound, fault.ResourceNotFound},
		"root":          {http.MethodGet, "/", "", http.StatusNotFound, fault.ResourceNotFound},
		"no operation":  {http.MethodGet, "/api/v1/bills/no/thing", "good", http.StatusNotFound, fault.ResourceNotFound},
		"kos":           {http.MethodPost, "/kos/bill/inquiry", "good", http.StatusNotFound, fault.ResourceNotFound},
		"internal feed": {http.MethodGet, "/internal/v1/revocations", "good", http.StatusNotFound, fault.ResourceNotFound},
		"status inside": {
			http.MethodGet, "/internal/v1/operations/status", "good", http.StatusNotFound,
			fault.ResourceNotFound,
		},
		"inside, glued": {
			http.MethodGet, "/api/v1/internal/v1/operations/status", "good", http.StatusNotFound,
			fault.ResourceNotFound,
		},
		"no such page":   {http.MethodGet, "/api/v1/ops/nothing", "good", http.StatusNotFound, fault.ResourceNotFound},
		"ops to a few":   {http.MethodGet, "/api/v1/ops/cache", "BILL_INQUIRY", http.StatusForbidden, fault.PermissionDenied},
		"ops to nobody":  {http.MethodGet, "/api/v1/ops/cache", "", http.StatusUnauthorized, fault.Unauthorized},
		"ops is to read": {http.MethodPost, "/api/v1/ops/cache", "good", http.StatusMethodNotAllowed, fault.BadMethod},
		"no staff":       {http.MethodGet, "/api/v1/ops/cache", "good", http.StatusForbidden, fault.PermissionDenied},
		"wrong method":   {http.MethodDelete, "/api/v1/bills/menu", "good", http.StatusMethodNotAllowed, fault.BadMethod},
		"nobody":         {http.MethodGet, "/api/v1/bills/menu", "", http.StatusUnauthorized, fault.Unauthorized},
		"wrong rights": {
			http.MethodGet, "/api/v1/bills/menu", "PRODUCT_CHANGE", http.StatusForbidden,
			fault.PermissionDenied,
		},
		"glued base":  {http.MethodGet, "/api/v1bills/menu", "good", http.StatusNotFound, fault.ResourceNotFound},
		"two slashes": {http.MethodGet, "/api/v1//bills/menu", "good", http.StatusNotFound, fault.ResourceNotFound},
		"dots inside": {
			http.MethodGet, "/api/v1/bills/../auth/verify", "good", http.StatusNotFound,
			fault.ResourceNotFound,
		},
		"post a probe":  {http.MethodPost, "/health", "", http.StatusMethodNotAllowed, fault.BadMethod},
		"below a probe": {http.MethodGet, "/health/x", "", http.StatusNotFound, fault.ResourceNotFound},
		"dots in a path": {
			http.MethodGet, "/api/v1/bills/../../kos/customer/1", "good", http.StatusNotFound,
			fault.ResourceNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequest(c.method, c.path, nil)
			res := send(h, c.method, c.path, c.bearer)
			require.Equal(t, c.status, res.StatusCode)
			resttest.Validate(t, resttest.Bill(t), req, res)
			require.Contains(t, body(t, res), string(c.code))
		})
	}
}

// TestEveryAnswerSaysWhatIsMissing: errors and answers of services alike.
func TestEveryAnswerSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	var is operations.Degradation
	c := config()
	c.Degradation = func() operations.Degradation { return is }
	h := newGateway(t, c)
	for _, path := range []string{"/api/v1/bills/menu", "/api/v1/nowhere"} {
		res := send(h, http.MethodGet, path, "good")
		require.Empty(t, res.Header.Values("X-Degradation"), path)
		body(t, res)
	}
	is.Causes = is.Causes.With(operations.KOSAway).With(operations.DatabaseAway)
	for _, path := range []string{"/api/v1/bills/menu", "/api/v1/nowhere"} {
		res := send(h, http.MethodGet, path, "good")
		require.Equal(t, []string{"DATABASE_AWAY, KOS_AWAY"}, res.Header.Values("X-Degradation"), path)
		body(t, res)
	}
}

func TestARegistryIsUsedOnce(t *testing.T) {
	t.Parallel()
	c := config()
	newGateway(t, c)
	_, err := gateway.New(c)
	require.ErrorContains(t, err, "gateway: ")
}

// proxy returns the proxy to the instances of a service at these origins.
func proxy(t *testing.T, file string, origins ...string) http.Handler {
	t.Helper()
	h, err := gateway.NewProxy(file, newPool(t, nil, origins...), slog.New(slog.DiscardHandler), time.Now)
	require.NoError(t, err)
	return h
}

// newPool returns the pool of the instances at these origins, whose health is checked only by Run.
func newPool(t *testing.T, change func(*pool.Config), origins ...string) *pool.Pool {
	t.Helper()
	targets, err := pool.ParseTargets(origins)
	require.NoError(t, err)
	metrics, err := pool.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	c := pool.Default()
	c.Service, c.Targets, c.Metrics, c.Random = "test", targets, metrics, rand.Float64
	c.Log, c.Now = slog.New(slog.DiscardHandler), time.Now
	if change != nil {
		change(&c)
	}
	return pool.New(t.Context(), c)
}

func proxied(t *testing.T, origins ...string) http.Handler {
	t.Helper()
	c := config()
	c.Bill = proxy(t, openapi.Bill, origins...)
	return newGateway(t, c)
}

func TestTheProxyPassesOnResolveClient(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	}))
	t.Cleanup(srv.Close)
	h := proxied(t, srv.URL)
	for range 2 { // the second time on a used buffer
		req := httptest.NewRequest(http.MethodGet, "http://phonebill.example/api/v1/bills/menu", nil)
		req.Header.Set("Authorization", "Bearer good")
		req.Header.Set("X-Forwarded-For", "6.6.6.6")
		req.Header.Set("X-User-Id", "admin")
		req.Header.Set("X-Request-Id", "trace-me")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		require.Equal(t, http.StatusOK, rec.Code)
		require.Len(t, rec.Body.String(), 100_000)
		r := <-seen
		require.Equal(t, []string{"192.0.2.1"}, r.Header.Values("X-Forwarded-For"), "what outsiders say is not passed on")
		require.Empty(t, r.Header.Get("X-User-Id"))
		require.Equal(t, "trace-me", r.Header.Get("X-Request-Id"))
		require.Equal(t, "phonebill.example", r.Host)
		require.Equal(t, "/api/v1/bills/menu", r.URL.Path)
		require.Equal(t, "Bearer good", r.Header.Get("Authorization"), "verified again in the service")
	}
}

func TestUpstreamTroubleIsTheGateways(t *testing.T) {
	t.Parallel()
	breaks := httptest.NewServer(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
	)
	t.Cleanup(breaks.Close)
	var lc net.ListenConfig
	gone, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := "http://" + gone.Addr().String()
	require.NoError(t, gone.Close())
	for name, origin := range map[string]string{"breaks off": breaks.URL, "nothing listens": nobody} {
		res := send(proxied(t, origin), http.MethodGet, "/api/v1/bills/menu", "good")
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, name)
		require.Equal(t, "1", res.Header.Get("Retry-After"))
		text := body(t, res)
		require.Contains(t, text, "SERVICE_UNAVAILABLE")
		require.Contains(t, text, "요금 조회 메뉴 로딩에 실패하였습니다")
		require.NotContains(t, text, "127.0.0.1", "upstream text is not shown")
	}
}

func TestASlowUpstreamAndAClientWhoHangsUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	t.Cleanup(func() { close(release); srv.Close() })
	h := proxied(t, srv.URL)
	ask := func(ctx context.Context) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodGet, "/api/v1/bills/menu", nil).WithContext(ctx)
		req.Header.Set("Authorization", "Bearer good")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec
	}
	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	rec := ask(late)
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.Contains(t, rec.Body.String(), "SERVICE_UNAVAILABLE")
	hungUp, hangUp := context.WithCancel(t.Context())
	hangUp()
	rec = ask(hungUp)
	require.Equal(t, 499, rec.Code, "no trouble of the upstream")
	require.Empty(t, rec.Body.String())
}

func TestABodyOverTheLimitIsRefusedOnItsWay(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }),
	)
	t.Cleanup(srv.Close)
	h := proxied(t, srv.URL)
	req := httptest.NewRequest(
		http.MethodPost, "/api/v1/bills/inquiry", io.MultiReader(bytes.NewReader(make([]byte, 70<<10))),
	)
	req.ContentLength = -1 // chunked: it does not say how much
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer good")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	require.Equal(t, http.StatusRequestEntityTooLarge, rec.Code)
	require.Contains(t, rec.Body.String(), "PAYLOAD_TOO_LARGE")
}
