package kossim_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/kossim"
)

func TestControlWitnesses(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c, do := connect(t, sim), steer(t, sim)
	var ledger []kossim.LedgerRow
	require.Equal(t, 200, do("GET", "/control/ledger", "", &ledger))
	require.NotNil(t, ledger, "an empty list is [], not null")
	change(t, c, order("t-1"))
	bill(t, c, "01012345678", "202611")
	require.Equal(t, 200, do("GET", "/control/ledger", "", &ledger))
	require.Equal(t, sim.Ledger(), ledger)
	var calls []kossim.Call
	require.Equal(t, 200, do("GET", "/control/calls", "", &calls))
	require.Equal(t, []kossim.Call{
		{At: noon, Operation: kossim.ProductChange, LineNumber: "01012345678", TransactionID: "t-1", Result: kossim.OK},
		{At: noon, Operation: kossim.BillInquiry, LineNumber: "01012345678", RequestID: "r-1", Result: kossim.OK},
	}, calls)
	require.Equal(t, 200, do("GET", "/control/calls?since=2026-11-21T03:00:00.001Z", "", &calls))
	require.Empty(t, calls)
	require.Equal(t, 400, do("GET", "/control/calls?since=yesterday", "", nil))

	require.Equal(t, 204, do("POST", "/control/reset", "", nil))
	require.Empty(t, sim.Ledger())
	require.Empty(t, sim.Calls())
	require.Equal(t, "LTE-PREMIUM-001", customer(t, c, "01012345678").CurrentProduct.ProductCode)
}

func TestControlFaults(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	do := steer(t, sim)
	var faults []kossim.Fault
	require.Equal(t, 201, do("POST", "/control/faults", `{"operation":"*","mode":"error","rate":0.5,"times":2}`, &faults))
	late := `{"operation":"product.change","mode":"apply_late","lineNumber":"01012345678","lateMs":5}`
	require.Equal(t, 201, do("POST", "/control/faults", late, &faults))
	require.Equal(t, []kossim.Fault{
		{Operation: kossim.AnyOperation, Mode: kossim.Error, Rate: .5, Times: 2},
		{Operation: kossim.ProductChange, Mode: kossim.ApplyLate, LineNumber: "01012345678", LateMs: 5},
	}, faults)
	require.Equal(t, 204, do("DELETE", "/control/faults", "", nil))
	require.Equal(
		t,
		201,
		do("POST", "/control/faults", `{"operation":"*","mode":"error","rate":0}`, &faults),
		"rate 0 never strikes",
	)
	require.Equal(t, 200, do("GET", "/control/faults", "", &faults))
	require.Empty(t, faults)
	for _, bad := range []string{
		``, `[]`, `{"operation":"*"}`, `{"operation":"*","mode":"error","rate":2}`, `{"operation":"*","mode":"error","x":1}`,
	} {
		require.Equal(t, 400, do("POST", "/control/faults", bad, nil), bad)
	}
}

func TestControlSettings(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.QuotaPerMinute, opts.NoStatusQuery = 0, true
	sim := open(t, opts)
	do := steer(t, sim)
	var got kossim.Settings
	require.Equal(t, 200, do("GET", "/control/settings", "", &got))
	require.Equal(t, kossim.Settings{QuotaPerMinute: 100}, got)
	require.Equal(t, 200, do("POST", "/control/settings", `{"quotaPerMinute":7}`, &got))
	require.Equal(t, 200, do("POST", "/control/settings", `{"statusQuery":"on"}`, &got))
	require.Equal(t, kossim.Settings{QuotaPerMinute: 7, StatusQuery: true}, got)
	require.Equal(t, 200, do("POST", "/control/settings", `{"quotaPerMinute":0,"statusQuery":false}`, &got))
	require.Equal(t, kossim.Settings{}, got)
	require.Equal(t, 200, do("POST", "/control/settings", `{"statusQuery":true}`, &got))
	require.Equal(t, 200, do("POST", "/control/settings", `{"statusQuery":"off"}`, &got))
	require.Equal(t, kossim.Settings{}, sim.Settings())
	require.Equal(t, 400, do("POST", "/control/settings", `{"quotaPerMinute":-1}`, nil))
	require.Equal(t, 400, do("POST", "/control/settings", `{"statusQuery":"maybe"}`, nil))
	require.Equal(t, 204, do("POST", "/control/reset", "", nil))
	require.Equal(t, 100, sim.Settings().QuotaPerMinute)
}

func TestControlClock(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	do := steer(t, sim)
	var got struct{ Now time.Time }
	for body, want := range map[string]time.Time{
		`{"set":"2027-01-01T00:00:00+09:00"}`: time.Date(2026, 12, 31, 15, 0, 0, 0, time.UTC),
	} {
		require.Equal(t, 200, do("POST", "/control/clock", body, &got))
		require.Equal(t, want, got.Now)
	}
	require.Equal(t, 200, do("POST", "/control/clock", `{"advance":"720h"}`, &got))
	require.Equal(t, 200, do("POST", "/control/clock", `{"advance":-60}`, &got))
	require.Equal(t, time.Date(2027, 1, 30, 14, 59, 0, 0, time.UTC), got.Now)
	require.Equal(t, 200, do("GET", "/control/clock", "", &got))
	require.Equal(t, sim.Now(), got.Now)
	for _, bad := range []string{
		`{}`, `{"advance":"soon"}`, `{"advance":[]}`, `{"advance":1,"set":"2027-01-01T00:00:00Z"}`, `{"set":"2027"}`,
	} {
		require.Equal(t, 400, do("POST", "/control/clock", bad, nil), bad)
	}
}

func TestControlCustomers(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c, do := connect(t, sim), steer(t, sim)
	var made, again []string
	require.Equal(t, 200, do("POST", "/control/customers", `{"count":1000,"seed":7}`, &made))
	require.Equal(t, 200, do("POST", "/control/customers", `{"count":1000,"seed":7,"scenario":"suspended"}`, &again))
	require.Len(t, made, 1000)
	require.Equal(t, made, again)
	ids := map[string]bool{}
	for _, line := range made {
		ids[kossim.CustomerOf(line).CustomerID] = true
	}
	require.Len(t, ids, 1000, "customer ids are unique")
	who := customer(t, c, made[999])
	require.Equal(t, "ACTIVE", who.LineStatus, "a line that is there stays as it is")
	require.Regexp(t, `^[가-힣]{3}$`, who.CustomerName)
	require.Equal(t, 200, do("POST", "/control/customers", `{"count":1,"seed":8}`, &again))
	require.NotEqual(t, made[0], again[0])
	for _, bad := range []string{`{"count":0}`, `{"count":1000001}`, `{"count":1,"scenario":"unknown"}`, `{"count":"1"}`} {
		require.Equal(t, 400, do("POST", "/control/customers", bad, nil), bad)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c, do := connect(t, sim), steer(t, sim)
	bill(t, c, "01012345679", "202611")
	require.Equal(t, 200, do("GET", "/health", "", nil))
	srv := httptest.NewServer(sim.Control())
	t.Cleanup(srv.Close)
	res, err := srv.Client().Get(srv.URL + "/metrics")
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), `kossim_calls_total{operation="bill.inquiry",result="E002",scenario="no_bill"} 1`)
	require.Contains(t, string(text), `kossim_call_duration_seconds_count{operation="bill.inquiry"} 1`)

	for path, want := range map[string]int{"/health": 200, "/kos/none": 404, "/control/ledger": 404} {
		require.Equal(t, want, direct(t.Context(), sim, http.MethodGet, path, nil).Code, path)
	}
}

func TestCallersTraceAndRequestIDAreKept(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/kos/customer/01012345678", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	r.Header.Set("X-Request-ID", "edge-7")
	rec := httptest.NewRecorder()
	sim.Handler().ServeHTTP(rec, r)
	require.Contains(t, rec.Body.String(), `"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"`)
	require.Contains(t, rec.Body.String(), `"timestamp":"2026-11-21T12:00:00.000+09:00"`)
	require.Equal(t, "edge-7", sim.Calls()[0].RequestID)
	r.Header.Set("Traceparent", "00-zzzz2f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	rec = httptest.NewRecorder()
	sim.Handler().ServeHTTP(rec, r)
	require.Regexp(t, `"traceId":"[0-9a-f]{32}"`, rec.Body.String())
}

// TestControlTokens: which credentials are accepted can be changed while calls are made, and is never disclosed.
func TestControlTokens(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	do := steer(t, sim)
	srv := httptest.NewServer(sim.Handler())
	t.Cleanup(srv.Close)
	status := func(token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/kos/products", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := srv.Client().Do(req)
		require.NoError(t, err)
		defer func() { require.NoError(t, res.Body.Close()) }()
		return res.StatusCode
	}
	first := options().Tokens[0]
	require.Equal(t, []int{200, 401}, []int{status(first), status("next")})
	var raw map[string]any
	require.Equal(t, 200, do("POST", "/control/settings", `{"tokens":["`+first+`","next"]}`, &raw))
	require.NotContains(t, raw, "tokens")
	require.Equal(t, []int{200, 200}, []int{status(first), status("next")})
	require.NoError(t, sim.SetTokens("next"))
	require.Equal(t, []int{401, 200, 401}, []int{status(first), status("next"), status("")})
	for _, bad := range []string{`[]`, `[""]`, `["a","b","c"]`, `"a"`} {
		require.Equal(t, 400, do("POST", "/control/settings", `{"statusQuery":false,"tokens":`+bad+`}`, nil), bad)
	}
	require.True(t, sim.Settings().StatusQuery, "half of a request is never done")
	require.Equal(t, 204, do("POST", "/control/reset", "", nil))
	require.Equal(t, []int{200, 401}, []int{status(first), status("next")})
}
