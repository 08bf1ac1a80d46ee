package internalapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/quota"
	"phonebill/core/upstream"
)

func askStatus(t *testing.T, s operations.Status) string {
	t.Helper()
	rec := httptest.NewRecorder()
	h := &internalapi.Handlers{Status: func(context.Context) operations.Status { return s }}
	resttest.Internal(t, h.Handler()).
		ServeHTTP(rec, httptest.NewRequest(http.MethodGet, internalapi.Base+"operations/status", nil))
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	return rec.Body.String()
}

// TestVersionOne pins the wire: two releases of gateway and service may talk to each other.
func TestVersionOne(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	require.JSONEq(t, `{"service":"bill-inquiry",
		"breakers":[{"name":"bill.inquiry","state":"OPEN","failures":5,"since":"2026-11-21T03:00:00Z",
		"retryAt":"2026-11-21T03:00:30Z"}],
		"quota":{"budget":68,"leased":3,"floor":{"calls":2,"until":"2026-11-21T03:10:00Z"},
			"fullBudget":95,"windowSeconds":62,"ledger":true,"squeezedUntil":"2026-11-21T03:01:00Z",
			"reserved":{"change":20,"read":40,"refresh":5,"prefetch":0},"spent":{"change":1,"read":2,"refresh":3,"prefetch":4},
			"waiting":{"change":0,"read":7,"refresh":0,"prefetch":0},"etaSeconds":{"change":0,"read":1.5,"refresh":0,
			"prefetch":0}},
		"caches":[{"kind":"bill","hits":1,"stale":2,"misses":3,"coalesced":4}]}`, askStatus(t, operations.Status{
		Service: "bill-inquiry",
		Breakers: []operations.Breaker{
			{Name: "bill.inquiry", State: operations.Open, Failures: 5, Since: at, RetryAt: at.Add(30 * time.Second)},
		},
		Quota: &operations.Quota{
			Window: quota.Default(), Budget: 68, Squeezed: at.Add(time.Minute), Spent: quota.Shares{1, 2, 3, 4}, Ledger: true,
			Leased: 3, Floor: operations.Floor{Calls: 2, Until: at.Add(10 * time.Minute)},
			Waiting: quota.Shares{quota.Read: 7}, ETA: [4]time.Duration{quota.Read: 1500 * time.Millisecond},
		},
		Caches: []operations.Cache{
			{Kind: freshness.Bills, Counts: freshness.Counts{Hits: 1, Stale: 2, Misses: 3, Coalesced: 4}},
		},
	}))
	require.JSONEq(t, `{"service":"gateway","breakers":[],"caches":[],
		"process":{"id":"3f","release":"0.9.0","startedAt":"2026-11-21T03:00:00Z","uptimeSeconds":90,"readiness":"READY"},
		"upstreams":[{"service":"auth","limit":256,"inFlight":3,"waiting":2,
			"breaker":{"name":"auth","state":"CLOSED","failures":0,"since":"2026-11-21T03:00:00Z"},
			"instances":[{"instance":"a:1","state":"not_ready","inFlight":4,"failures":1,"since":"2026-11-21T03:00:00Z"}]}]}`,
		askStatus(t, operations.Status{
			Service: "gateway",
			Process: operations.Process{
				ID: "3f", Release: "0.9.0", Started: at, Uptime: 90 * time.Second, Readiness: operations.Ready,
			},
			Upstreams: []operations.Upstream{{
				Service: "auth", Limit: 256, InFlight: 3, Waiting: 2,
				Breaker: operations.Breaker{Name: "auth", State: operations.Closed, Since: at},
				Instances: []operations.UpstreamInstance{
					{Name: "a:1", State: upstream.Refusing, InFlight: 4, Failures: 1, Since: at},
				},
			}},
		}))
	require.JSONEq(t, `{"service":"x","breakers":[],"caches":[]}`, askStatus(t, operations.Status{
		Service: "x",
	}), "never null")
}
