package compose

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/boot"
	"phonebill/core/auth"
	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/quota"
)

const longToken = "0123456789abcdef0123456789abcdef"

func silent() Tools { return RealTools(slog.New(slog.DiscardHandler)) }

// instance is an instance's internal listener.
func instance(t *testing.T, service string, token personal.Secret, w watched) string {
	t.Helper()
	p := begin(service, Listen{}, silent())
	p.watch(w)
	p.internal.Token = token
	srv := httptest.NewServer(p.internal.Handler())
	t.Cleanup(srv.Close)
	return srv.URL
}

func ask(t *testing.T, i Instances, token personal.Secret) []operations.Answer {
	t.Helper()
	seen, err := Overview(i, token, func(context.Context, error) {})
	require.NoError(t, err)
	answers, err := seen.Ask(t.Context(), auth.Principal{Roles: []auth.Role{auth.Operator}})
	require.NoError(t, err)
	return answers
}

// TestTheGatewaySeesWhatAnInstanceKnows goes the whole way: what a service watches, over its internal listener, to the page.
func TestTheGatewaySeesWhatAnInstanceKnows(t *testing.T) {
	t.Parallel()
	token := personal.NewSecret("s3cret")
	var bills, more freshness.Tally
	bills.Hit()
	more.Stale()
	w := watched{
		breakers: func() []operations.Breaker {
			return []operations.Breaker{{Name: "bill.inquiry", State: operations.Closed}}
		},
		quota: func(context.Context) operations.Quota {
			return operations.Quota{Window: quota.Default(), Budget: 95, Ledger: true}
		},
		caches: []tallied{{freshness.Bills, &bills}, {freshness.Bills, &more}},
	}
	got := ask(t, Instances{
		Bill: []string{instance(t, billService, token, w), instance(t, billService, personal.NewSecret("another"), w)},
		Product: []string{
			instance(t, productService, token, watched{}), instance(t, billService, token, w), "http://127.0.0.1:1",
		},
	}, token)
	require.Len(t, got, 5)
	require.Equal(t, operations.Status{
		Service: billService, Breakers: w.breakers(), Quota: new(w.quota(t.Context())),
		Caches: []operations.Cache{{Kind: freshness.Bills, Counts: freshness.Counts{Hits: 1, Stale: 1}}},
	}, got[0].Status)
	require.Equal(t, operations.Refused, got[1].Trouble)
	require.Equal(t, operations.Status{Service: productService}, got[2].Status)
	require.Equal(t, operations.BadAnswer, got[3].Trouble, "another service's instance")
	require.Equal(t, operations.NoConnection, got[4].Trouble)
}

func TestInstancesAreConfiguration(t *testing.T) {
	t.Parallel()
	vars := map[string]string{
		"BILL_INTERNAL_URLS": "http://b1:9082, http://b2:9082",
		"INTERNAL_TOKEN":     longToken, "GATEWAY_AUDIT_TOKEN": longToken + "x",
	}
	g, err := ReadGateway(boot.Env(func(key string) string { return vars[key] }))
	require.NoError(t, err)
	require.Equal(t, Instances{
		Bill: []string{"http://b1:9082", "http://b2:9082"}, Product: []string{"http://127.0.0.1:9083"},
	}, g.Instances)
	_, err = Gateway(t.Context(), GatewayConfig{Instances: Instances{Bill: []string{"b1:9082"}}}, Upstreams{}, silent())
	require.ErrorContains(t, err, "cannot start gateway")
	require.ErrorContains(t, err, `"b1:9082" is not an origin`)
}

// TestAHangingLedgerHidesNothingElse: the status is there before the gateway's patience ends.
func TestAHangingLedgerHidesNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watched{
			breakers: func() []operations.Breaker { return []operations.Breaker{{Name: "mvnoap"}} },
			quota: func(ctx context.Context) operations.Quota {
				<-ctx.Done()
				return operations.Quota{Waiting: quota.Shares{quota.Read: 3}}
			},
		}
		began := time.Now()
		got := w.status(t.Context(), billService)
		require.Equal(t, ledgerWithin, time.Since(began))
		require.Less(t, ledgerWithin, time.Second)
		require.Len(t, got.Breakers, 1)
		require.False(t, got.Quota.Ledger)
		require.Equal(t, 3, got.Quota.Queued())
	})
}

// scrape answers the metrics by name and labels.
func scrape(t *testing.T, w watched) map[string]float64 {
	t.Helper()
	return scraped(t, newGauges(w))
}

func scraped(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return got
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	var bills, plans, again freshness.Tally
	for range 3 {
		bills.Hit()
	}
	bills.Stale()
	bills.Miss()
	bills.Coalesced()
	plans.Miss()
	again.Miss()
	asked := 0
	told := operations.Quota{
		Window: quota.Default(), Budget: 71, Ledger: true, Spent: quota.Shares{1, 2, 3, 4}, Waiting: quota.Shares{quota.Read: 5},
		ETA: [4]time.Duration{quota.Read: 1500 * time.Millisecond},
	}
	w := watched{
		quota:  func(context.Context) operations.Quota { asked++; return told },
		caches: []tallied{{freshness.Bills, &bills}, {freshness.Plans, &plans}, {freshness.Plans, &again}},
	}
	g := newGauges(w)
	require.Zero(t, asked, "nobody looks, nobody pays")
	require.NotNil(t, g)
	lookups := map[string]float64{
		"phonebill_lookups_total bill hit": 3, "phonebill_lookups_total bill stale": 1, "phonebill_lookups_total bill miss": 1,
		"phonebill_lookups_total bill coalesced": 1, "phonebill_lookups_total plans hit": 0, "phonebill_lookups_total plans stale": 0,
		"phonebill_lookups_total plans miss": 2, "phonebill_lookups_total plans coalesced": 0,
	}
	queues := map[string]float64{
		"phonebill_kos_waiting change": 0, "phonebill_kos_waiting read": 5, "phonebill_kos_waiting refresh": 0,
		"phonebill_kos_waiting prefetch": 0, "phonebill_kos_eta_seconds change": 0, "phonebill_kos_eta_seconds read": 1.5,
		"phonebill_kos_eta_seconds refresh": 0, "phonebill_kos_eta_seconds prefetch": 0,
	}
	ledger := map[string]float64{
		"phonebill_kos_ledger_available": 1, "phonebill_kos_budget": 71, "phonebill_kos_used change": 1, "phonebill_kos_used read": 2,
		"phonebill_kos_used refresh": 3, "phonebill_kos_used prefetch": 4,
	}
	require.Equal(t, joined(lookups, queues, ledger), scrape(t, w))
	told.Window, told.Budget = quota.Unlimited(), math.MaxInt
	require.InDelta(t, math.Inf(1), scrape(t, w)["phonebill_kos_budget"], 0)
	told.Ledger = false
	require.Equal(t, joined(lookups, queues, map[string]float64{"phonebill_kos_ledger_available": 0}), scrape(t, w),
		"what is not known is absent, not 0")
	require.Empty(t, scrape(t, watched{}))
}

func joined(all ...map[string]float64) map[string]float64 {
	sum := map[string]float64{}
	for _, m := range all {
		for k, v := range m {
			sum[k] = v
		}
	}
	return sum
}

func TestTheStatusWantsTheToken(t *testing.T) {
	t.Parallel()
	p := begin(billService, Listen{}, silent())
	p.watch(watched{})
	p.internal.Token = personal.NewSecret("s3cret")
	h := p.internal.Handler()
	for header, status := range map[string]int{
		"": http.StatusUnauthorized, "Bearer no": http.StatusUnauthorized, "Bearer s3cret": http.StatusOK,
	} {
		req := httptest.NewRequest(http.MethodGet, "/internal/v1/operations/status", nil)
		req.Header.Set("Authorization", header)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		require.Equal(t, status, rec.Code, header)
	}
}
