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
	require.Contains(t, log.String(), "product-change 127.0.0.1:1 cannot be asked")
	require.NotContains(t, out.String()+log.String(), "s3cret")
	text := strings.ReplaceAll(out.String(), strings.TrimPrefix(srv.URL, "http://"), "b:1")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}

const nobody = "product-change 127.0.0.1:1 does not answer: NO_CONNECTION\n"

func TestOpsBreakers(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	require.Equal(t, "SERVICE INSTANCE BREAKER STATE FAILURES SINCE TRIED AGAIN\n"+
		"bill-inquiry b:1 bill.inquiry OPEN 5 2026-11-21 03:00:00Z 2026-11-21 03:00:30Z\n"+
		"bill-inquiry b:1 mvnoap CLOSED 0 2026-11-21 03:00:00Z -\n"+nobody,
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
		ETA: [4]time.Duration{quota.Read: 2640 * time.Millisecond},
	}
	queues := "\nSERVICE INSTANCE LANE WAITING ETA\n" +
		"bill-inquiry b:1 change 0 0s\nbill-inquiry b:1 read 3 2.6s\nbill-inquiry b:1 refresh 0 0s\nbill-inquiry b:1 " +
		"prefetch 0 0s\n" + nobody
	require.Equal(t,
		"budget 71 of 95 calls per 1m2s, KOS has said E429: until 2026-11-21 03:01:00Z\nused 66 within the last 60 s\n"+
			" change 4 (20 reserved)\n read 60 (40 reserved)\n refresh 2 (5 reserved)\n prefetch 0 (0 reserved)\n"+queues,
		looked(t, operations.Status{Quota: &q}, "quota"))
	q.Window, q.Squeezed = quota.Unlimited(), time.Time{}
	require.Contains(t, looked(t, operations.Status{Quota: &q}, "quota"), "budget no limit\nused 66 ")
	q.Ledger = false
	require.Equal(t, "budget the ledger cannot be asked: each instance spends its floor alone\n"+queues,
		looked(t, operations.Status{Quota: &q}, "quota"))
	require.Equal(t, "budget no instance reports it\n\nSERVICE INSTANCE LANE WAITING ETA\n"+nobody,
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
