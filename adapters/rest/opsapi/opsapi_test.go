package opsapi_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/opsapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/quota"
	"phonebill/core/staff/cases"
	"phonebill/core/upstream"
	"phonebill/ports"
)

var at = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func clock() time.Time { return at }

// face is the API over the instances, and a way to get a token.
type face struct {
	http.Handler
	tokens *memory.AccessTokens
}

func open(t *testing.T, instances *memory.Instances) face {
	t.Helper()
	f := face{tokens: &memory.AccessTokens{}}
	revoked := access.NewRevoked(&memory.Revocations{}, nil, clock, time.Hour)
	require.NoError(t, revoked.Pull(t.Context()))
	handlers := &opsapi.Handlers{
		Overview: &cases.Overview{Instances: instances, Report: func(context.Context, error) {}},
	}
	var err error
	f.Handler, err = rest.NewHandler(rest.Service{
		Spec: resttest.Operations(t), Mount: handlers.Mount,
		Authenticator: contract.AccessGuard{Guard: &access.Guard{Verifier: f.tokens, Revoked: revoked, Now: clock}},
		Log:           slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Clock: clock,
	})
	require.NoError(t, err)
	return f
}

// get sends a request as a user with the role and permission, and holds the answer against the specification.
func (f face) get(t *testing.T, path string, role auth.Role, has ...auth.Permission) (*http.Response, string) {
	t.Helper()
	token, err := f.tokens.Issue(t.Context(), auth.Principal{
		UserID: "somebody", Roles: []auth.Role{role}, Permissions: has, ExpiresAt: at.Add(time.Hour),
	}, at)
	require.NoError(t, err)
	req := httptest.NewRequest(http.MethodGet, "/api/v1"+path, nil)
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	rec := httptest.NewRecorder()
	f.ServeHTTP(rec, req)
	res := rec.Result()
	resttest.Validate(t, resttest.Operations(t), req, res)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(raw)
}

// data is what a member of staff is answered.
func (f face) data(t *testing.T, path string) string {
	t.Helper()
	res, raw := f.get(t, path, auth.Operator, auth.Operations)
	require.Equal(t, http.StatusOK, res.StatusCode, raw)
	var body struct {
		Message string
		Data    json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(raw), &body))
	require.NotEmpty(t, body.Message)
	return string(body.Data)
}

func bill(name string) operations.Instance {
	return operations.Instance{Service: "bill-inquiry", Name: name}
}

func answering(s operations.Status) func(context.Context) (operations.Status, error) {
	return func(context.Context) (operations.Status, error) { return s, nil }
}

const dead = `"unreachable":[{"service":"product-change","instance":"p:1","reason":"NO_CONNECTION",
"message":"인스턴스에 연결할 수 없습니다"}]`

// twoAndADead are two instances of one service, and a dead one of another.
func twoAndADead(one, other operations.Status) *memory.Instances {
	all := &memory.Instances{}
	all.Add(bill("b:1"), answering(one))
	all.Add(bill("b:2"), answering(other))
	all.Add(operations.Instance{Service: "product-change", Name: "p:1"}, nil)
	return all
}

func TestCircuitBreakers(t *testing.T) {
	t.Parallel()
	f := open(t, twoAndADead(operations.Status{Breakers: []operations.Breaker{
		{Name: "bill.inquiry", State: operations.Open, Failures: 5, Since: at, RetryAt: at.Add(30 * time.Second)},
		{Name: "mvnoap", State: operations.HalfOpen, Since: at},
	}}, operations.Status{}))
	require.JSONEq(t, `{"instances":[
		{"service":"bill-inquiry","instance":"b:1","breakers":[
			{"name":"bill.inquiry","state":"OPEN","failures":5,"since":"2026-11-21T03:00:00Z","retryAt":"2026-11-21T03:00:30Z"},
			{"name":"mvnoap","state":"HALF_OPEN","failures":0,"since":"2026-11-21T03:00:00Z"}]},
		{"service":"bill-inquiry","instance":"b:2","breakers":[]}],`+dead+`}`, f.data(t, "/ops/circuit-breakers"))
}

func TestKOSQuota(t *testing.T) {
	t.Parallel()
	alone := operations.Quota{Window: quota.Default(), Waiting: quota.Shares{quota.Read: 2}}
	known := operations.Quota{
		Window: quota.Default(), Budget: 71, Squeezed: at.Add(time.Minute), Spent: quota.Shares{4, 60, 2, 0}, Ledger: true,
		Leased: 3, Floor: operations.Floor{Calls: 2, Until: at.Add(10 * time.Minute)},
		Waiting: quota.Shares{quota.Change: 1, quota.Prefetch: 9},
		ETA:     [4]time.Duration{quota.Prefetch: 2600 * time.Millisecond},
	}
	queues := `"instances":[
		{"service":"bill-inquiry","instance":"b:1","ledgerAvailable":false,"waiting":2,"lanes":[
			{"lane":"change","waiting":0,"etaSeconds":0},{"lane":"read","waiting":2,"etaSeconds":0},
			{"lane":"refresh","waiting":0,"etaSeconds":0},{"lane":"prefetch","waiting":0,"etaSeconds":0}]}`
	f := open(t, twoAndADead(operations.Status{Quota: &alone}, operations.Status{Quota: &known}))
	require.JSONEq(t, `{"ledger":{"available":true,"limited":true,"budget":71,"fullBudget":95,"leasedFloors":3,
			"windowSeconds":62,
			"squeezedUntil":"2026-11-21T03:01:00Z","used":66,"lanes":[{"lane":"change","used":4,"reserved":20},
			{"lane":"read","used":60,"reserved":40},{"lane":"refresh","used":2,"reserved":5},{"lane":"prefetch","used":0,
			"reserved":0}]},
		`+queues+`,{"service":"bill-inquiry","instance":"b:2","ledgerAvailable":true,"waiting":10,
			"floor":{"calls":2,"until":"2026-11-21T03:10:00Z"},"lanes":[
			{"lane":"change","waiting":1,"etaSeconds":0},{"lane":"read","waiting":0,"etaSeconds":0},
			{"lane":"refresh","waiting":0,"etaSeconds":0},{"lane":"prefetch","waiting":9,"etaSeconds":2.6}]}],`+dead+`}`,
		f.data(t, "/ops/kos-quota"))

	f = open(t, twoAndADead(operations.Status{Quota: &alone}, operations.Status{}))
	require.JSONEq(t, `{"ledger":{"available":false,"limited":true,"fullBudget":95,
		"windowSeconds":62},`+queues+`],`+dead+`}`,
		f.data(t, "/ops/kos-quota"), "no instance can ask the ledger, and the second has no link to KOS")

	free := operations.Quota{Window: quota.Unlimited(), Budget: math.MaxInt, Ledger: true}
	f = open(t, twoAndADead(operations.Status{Quota: &free}, operations.Status{}))
	var got struct{ Ledger map[string]any }
	require.NoError(t, json.Unmarshal([]byte(f.data(t, "/ops/kos-quota")), &got))
	require.Equal(t, false, got.Ledger["limited"])
	require.NotContains(t, got.Ledger, "budget")
	require.NotContains(t, got.Ledger, "fullBudget")
}

func TestCache(t *testing.T) {
	t.Parallel()
	bills := func(n int64) operations.Cache {
		return operations.Cache{
			Kind: freshness.Bills, Counts: freshness.Counts{Hits: 6 * n, Stale: 2 * n, Misses: n, Coalesced: n},
		}
	}
	f := open(t, twoAndADead(operations.Status{Caches: []operations.Cache{bills(1)}},
		operations.Status{Caches: []operations.Cache{{Kind: freshness.Plans}, bills(2)}}))
	const none = `{"kind":"plans","hits":0,"stale":0,"misses":0,"coalesced":0,"hitRate":0}`
	require.JSONEq(t, `{"total":[{"kind":"bill","hits":18,"stale":6,"misses":3,"coalesced":3,"hitRate":0.6},`+none+`],
		"instances":[{"service":"bill-inquiry","instance":"b:1","kinds":[
			{"kind":"bill","hits":6,"stale":2,"misses":1,"coalesced":1,"hitRate":0.6}]},
			{"service":"bill-inquiry","instance":"b:2","kinds":[`+none+`,
				{"kind":"bill","hits":12,"stale":4,"misses":2,"coalesced":2,"hitRate":0.6}]}],`+dead+`}`, f.data(t, "/ops/cache"))
}

func TestTheCopiesOfMonthsStandApart(t *testing.T) {
	t.Parallel()
	counts := operations.Cache{Kind: freshness.Months, Counts: freshness.Counts{Hits: 3, Misses: 1}}
	f := open(t, twoAndADead(operations.Status{Caches: []operations.Cache{counts}},
		operations.Status{Caches: []operations.Cache{counts}}))
	const row = `"kinds":[],"months":{"hits":3,"stale":0,"misses":1,"coalesced":0,"hitRate":0.75}}`
	require.JSONEq(t, `{"total":[],"months":{"hits":6,"stale":0,"misses":2,"coalesced":0,"hitRate":0.75},"instances":[
		{"service":"bill-inquiry","instance":"b:1",`+row+`,{"service":"bill-inquiry","instance":"b:2",`+row+`],`+dead+`}`,
		f.data(t, "/ops/cache"))
}

func TestInstances(t *testing.T) {
	t.Parallel()
	all := twoAndADead(operations.Status{Process: operations.Process{
		ID: "1", Release: "v0.9.0", Started: at, Uptime: 90 * time.Second, Readiness: operations.Draining,
	}}, operations.Status{})
	all.Add(operations.Instance{Service: "auth", Name: "a:1"}, func(context.Context) (operations.Status, error) {
		return operations.Status{}, &ports.GoneError{Since: at}
	})
	f := open(t, all)
	require.JSONEq(t, `{"services":[
			{"service":"bill-inquiry","found":2,"ready":0,"notReady":0,"draining":1,"unknown":1,"unreachable":0,
				"releases":["v0.9.0"]},
			{"service":"product-change","found":1,"ready":0,"notReady":0,"draining":0,"unknown":0,"unreachable":1,
				"releases":[]},
			{"service":"auth","found":1,"ready":0,"notReady":0,"draining":0,"unknown":0,"unreachable":1,"releases":[]}],
		"instances":[
			{"service":"bill-inquiry","instance":"b:1","release":"v0.9.0","startedAt":"2026-11-21T03:00:00Z",
				"uptimeSeconds":90,"readiness":"DRAINING"},
			{"service":"bill-inquiry","instance":"b:2"}],
		`+strings.TrimSuffix(dead, "]")+`,{"service":"auth","instance":"a:1","reason":"NO_CONNECTION",
			"message":"DNS에 더 이상 등록되어 있지 않은 인스턴스입니다","goneSince":"2026-11-21T03:00:00Z"}]}`,
		f.data(t, "/ops/instances"))
}

func TestUpstreams(t *testing.T) {
	t.Parallel()
	sees := func(breaker operations.BreakerState, state upstream.State) operations.Status {
		return operations.Status{Upstreams: []operations.Upstream{{
			Service: "bill-inquiry", Limit: 256, InFlight: 3, Waiting: 1,
			Breaker:   operations.Breaker{Name: "bill-inquiry", State: breaker, Since: at},
			Instances: []operations.UpstreamInstance{{Name: "b:8082", State: state, InFlight: 2, Failures: 4, Since: at}},
		}}}
	}
	all := twoAndADead(operations.Status{}, operations.Status{}) // of services, which are not asked for this
	gate := func(name string) operations.Instance { return operations.Instance{Service: "gateway", Name: name} }
	all.Add(gate("g:1"), answering(sees(operations.Closed, upstream.Up)))
	all.Add(gate("g:2"), answering(sees(operations.Open, upstream.Refusing)))
	all.Add(gate("g:3"), nil)
	one := func(name, breaker, state string) string {
		return `{"instance":"` + name + `","upstreams":[{"service":"bill-inquiry","limit":256,"inFlight":3,"waiting":1,
			"breaker":{"name":"bill-inquiry","state":"` + breaker + `","failures":0,"since":"2026-11-21T03:00:00Z"},
			"instances":[{"instance":"b:8082","state":"` + state + `","inFlight":2,"failures":4,
				"since":"2026-11-21T03:00:00Z"}]}]}`
	}
	require.JSONEq(t, `{"services":[{"service":"bill-inquiry","gateways":2,"breakersOpen":1,"inFlight":6,"waiting":2,
			"best":{"up":1,"ejected":0,"notReady":0,"down":0},"worst":{"up":0,"ejected":0,"notReady":1,"down":0}}],
		"gateways":[`+one("g:1", "CLOSED", "UP")+`,`+one("g:2", "OPEN", "NOT_READY")+`],
		"unreachable":[{"service":"gateway","instance":"g:3","reason":"NO_CONNECTION",
			"message":"인스턴스에 연결할 수 없습니다"}]}`, open(t, all).data(t, "/ops/upstreams"))
}

func TestNoInstanceAnswers(t *testing.T) {
	t.Parallel()
	all := &memory.Instances{}
	all.Add(operations.Instance{Service: "product-change", Name: "p:1"}, nil)
	f := open(t, all)
	require.JSONEq(t, `{"instances":[],`+dead+`}`, f.data(t, "/ops/circuit-breakers"))
	require.JSONEq(t, `{"instances":[],`+dead+`}`, f.data(t, "/ops/kos-quota"))
	require.JSONEq(t, `{"total":[],"instances":[],`+dead+`}`, f.data(t, "/ops/cache"))
}

func TestWhoMayLook(t *testing.T) {
	t.Parallel()
	f := open(t, &memory.Instances{})
	for _, path := range []string{
		"/ops/circuit-breakers", "/ops/kos-quota", "/ops/cache", "/ops/instances", "/ops/upstreams",
	} {
		for _, role := range []auth.Role{auth.Operator, auth.Admin} {
			res, raw := f.get(t, path, role, auth.Operations)
			require.Equal(t, http.StatusOK, res.StatusCode, raw)
			res, raw = f.get(t, path, role, auth.UserAdmin)
			require.Equal(t, http.StatusForbidden, res.StatusCode, raw)
		}
		res, raw := f.get(t, path, auth.Customer, auth.AllPermissions()...)
		require.Equal(t, http.StatusForbidden, res.StatusCode, "no member of staff, whatever the grants: %s", raw)
		require.Contains(t, raw, string(fault.PermissionDenied))
	}
}
