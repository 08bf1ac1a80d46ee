package ctl

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/internalapi"
	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/quota"
	"phonebill/core/upstream"
)

// look runs an ops command against a bill instance that knows s, and a dead product instance. Runs of spaces are one.
func looked(t *testing.T, s operations.Status, page string) string {
	t.Helper()
	s.Service = "bill-inquiry"
	h := &internalapi.Handlers{
		Token: personal.NewSecret("s3cret"), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Status: func(context.Context) operations.Status { return s },
	}
	srv := httptest.NewServer(h.Handler())
	t.Cleanup(srv.Close)
	env := map[string]string{
		"BILL_INTERNAL_URLS": srv.URL, "PRODUCT_INTERNAL_URLS": "http://127.0.0.1:1", "INTERNAL_TOKEN": "s3cret",
		"AUTH_INTERNAL_URL": "http://127.0.0.1:2", "GATEWAY_INTERNAL_URLS": "http://127.0.0.1:3",
	}
	var out, log bytes.Buffer
	require.NoError(t, Run(t.Context(), Console{
		Env: func(key string) string { return env[key] }, Out: &out, Err: &out,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, []string{"ops", page}))
	require.Contains(t, log.String(), " cannot be asked: ")
	require.NotContains(t, out.String()+log.String(), "s3cret")
	text := strings.ReplaceAll(out.String(), strings.TrimPrefix(srv.URL, "http://"), "b:1")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}

const (
	nobody    = "product-change 127.0.0.1:1 does not answer: NO_CONNECTION\n"
	noGateway = "gateway 127.0.0.1:3 does not answer: NO_CONNECTION\n"
)

func TestOpsInstances(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	require.Equal(t, "SERVICE FOUND READY NOT READY DRAINING UNKNOWN UNREACHABLE RELEASES\n"+
		"gateway 1 0 0 0 0 1 -\nauth 1 0 0 0 0 1 -\nbill-inquiry 1 0 0 1 0 0 v0.9.0\nproduct-change 1 0 0 0 0 1 -\n\n"+
		"SERVICE INSTANCE RELEASE STATE BEGAN RUNS FOR\n"+
		"bill-inquiry b:1 v0.9.0 DRAINING 2026-11-21 03:00:00Z 1m30s\n"+
		noGateway+"auth 127.0.0.1:2 does not answer: NO_CONNECTION\n"+nobody,
		looked(t, operations.Status{Process: operations.Process{
			ID: "1", Release: "v0.9.0", Started: at, Uptime: 90 * time.Second, Readiness: operations.Draining,
		}}, "instances"))
	require.Contains(t, looked(t, operations.Status{}, "instances"), "bill-inquiry b:1 - - - -\n", "an older release")
}

func TestOpsUpstreams(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	gate := operations.Answer{
		Instance: operations.Instance{Service: "gateway", Name: "g:1"},
		Status: operations.Status{Upstreams: []operations.Upstream{{
			Service: "auth", Limit: 256, InFlight: 3, Waiting: 2,
			Breaker: operations.Breaker{Name: "auth", State: operations.Open, Failures: 6, Since: at},
			Instances: []operations.UpstreamInstance{
				{Name: "a:1", State: upstream.EjectedUp, InFlight: 1, Failures: 2, Since: at},
			},
		}}},
	}
	for lang, want := range map[lang]string{
		english: "SERVICE GATEWAYS BREAKERS OPEN IN FLIGHT WAITING BEST VIEW WORST VIEW\n" +
			"auth 1 1 3 2 0 up, 1 ejected, 0 not ready, 0 down 0 up, 1 ejected, 0 not ready, 0 down\n\n" +
			"GATEWAY SERVICE INSTANCE STATE IN FLIGHT FAILURES SINCE\n" +
			"g:1 auth all: breaker OPEN, 2 waiting 3/256 6 2026-11-21 03:00:00Z\n" +
			"g:1 auth a:1 EJECTED 1 2 2026-11-21 03:00:00Z\n",
		hangul: "서비스 게이트웨이 열린 차단기 처리 중 대기 가장 좋은 쪽 가장 나쁜 쪽\n" +
			"auth 1 1 3 2 정상 0, 제외 1, 준비 안 됨 0, 중단 0 정상 0, 제외 1, 준비 안 됨 0, 중단 0\n\n" +
			"게이트웨이 서비스 인스턴스 상태 처리 중 실패 부터\n" +
			"g:1 auth 전체: 차단기 OPEN, 대기 2 3/256 6 2026-11-21 03:00:00Z\n" +
			"g:1 auth a:1 EJECTED 1 2 2026-11-21 03:00:00Z\n",
	} {
		var out bytes.Buffer
		p := Console{Out: &out, lang: lang}.printer()
		showUpstreams([]operations.Answer{gate}, p)
		require.NoError(t, p.done())
		require.Equal(t, want, regexp.MustCompile(` +`).ReplaceAllString(out.String(), " "), lang)
	}
	require.Contains(t, looked(t, operations.Status{}, "upstreams"), noGateway)
}

func TestOpsBreakers(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	require.Equal(t, "SERVICE INSTANCE BREAKER STATE FAILURES SINCE TRIED AGAIN\n"+
		"bill-inquiry b:1 bill.inquiry OPEN 5 2026-11-21 03:00:00Z 2026-11-21 03:00:30Z\n"+
		"bill-inquiry b:1 mvnoap CLOSED 0 2026-11-21 03:00:00Z -\n"+noGateway+nobody,
		looked(t, operations.Status{Breakers: []operations.Breaker{
			{Name: "bill.inquiry", State: operations.Open, Failures: 5, Since: at, RetryAt: at.Add(30 * time.Second)},
			{Name: "mvnoap", State: operations.Closed, Since: at},
		}}, "breakers"))
}

func TestOpsQuota(t *testing.T) {
	t.Parallel()
	q := operations.Quota{
		Window: quota.Default(), Budget: 71, Ledger: true, Squeezed: time.Date(2026, 11, 21, 3, 1, 0, 0, time.UTC),
		Spent: quota.Shares{4, 60, 2, 0}, Waiting: quota.Shares{quota.Read: 3},
		ETA:    [4]time.Duration{quota.Read: 2640 * time.Millisecond},
		Leased: 3, Floor: operations.Floor{Calls: 1, Until: time.Date(2026, 11, 21, 3, 10, 0, 0, time.UTC)},
	}
	queues := "\nSERVICE INSTANCE FLOOR HELD UNTIL\nbill-inquiry b:1 1 2026-11-21 03:10:00Z\n" +
		"\nSERVICE INSTANCE LANE WAITING ETA\n" +
		"bill-inquiry b:1 change 0 0s\nbill-inquiry b:1 read 3 2.6s\nbill-inquiry b:1 refresh 0 0s\nbill-inquiry b:1 " +
		"prefetch 0 0s\n" + nobody
	require.Equal(t,
		"budget 71 of 95 calls per 1m2s, KOS has said E429: until 2026-11-21 03:01:00Z\n"+
			"floors 3 calls are leased\nused 66 within the last 60 s\n"+
			" change 4 (20 reserved)\n read 60 (40 reserved)\n refresh 2 (5 reserved)\n prefetch 0 (0 reserved)\n"+queues,
		looked(t, operations.Status{Quota: &q}, "quota"))
	q.Window, q.Squeezed = quota.Unlimited(), time.Time{}
	require.Contains(t, looked(t, operations.Status{Quota: &q}, "quota"), "budget no limit\nused 66 ")
	q.Ledger = false
	require.Equal(t, "budget the ledger cannot be asked: each instance spends the floor that it holds\n"+queues,
		looked(t, operations.Status{Quota: &q}, "quota"))
	require.Equal(t, "budget no instance reports it\n\nSERVICE INSTANCE FLOOR HELD UNTIL\n\n"+
		"SERVICE INSTANCE LANE WAITING ETA\n"+nobody,
		looked(t, operations.Status{}, "quota"))
}

func TestOpsCache(t *testing.T) {
	t.Parallel()
	bills := operations.Cache{Kind: freshness.Bills, Counts: freshness.Counts{Hits: 8, Stale: 1, Misses: 1}}
	require.Equal(t, "SERVICE INSTANCE KIND HITS STALE MISSES COALESCED HIT RATE\n"+
		"bill-inquiry b:1 bill 8 1 1 0 80.00 %\nall - bill 8 1 1 0 80.00 %\n"+nobody,
		looked(t, operations.Status{Caches: []operations.Cache{bills}}, "cache"))
}

func TestOpsNeedsInstances(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, env := range []map[string]string{
		{"PHONEBILL_DATA": dir}, {"BILL_INTERNAL_URLS": "not an origin"},
	} {
		c := Console{Env: func(key string) string { return env[key] }, Log: slog.New(slog.DiscardHandler)}
		require.Error(t, Run(t.Context(), c, []string{"ops", "cache"}))
	}
}
