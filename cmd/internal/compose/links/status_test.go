package links

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

	"phonebill/adapters/internalclient"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/auth"
	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/quota"
)

func silent() service.Tools { return service.RealTools(slog.New(slog.DiscardHandler)) }

// instance is an instance's internal listener.
func instance(t *testing.T, name string, token personal.Secret, w status) string {
	t.Helper()
	b := service.Begin(name, service.Listen{}, silent())
	report(b, w)
	b.Internal.Token = token
	srv := httptest.NewServer(b.Internal.Handler())
	t.Cleanup(srv.Close)
	return srv.URL
}

func ask(t *testing.T, i gateway.Instances, token personal.Secret) []operations.Answer {
	t.Helper()
	staff, err := gateway.NewStaff(internalclient.Access{Token: token}, i, nil, func(context.Context, error) {}, silent())
	require.NoError(t, err)
	answers, err := staff.Overview().Ask(t.Context(), auth.Principal{Roles: []auth.Role{auth.Operator}})
	require.NoError(t, err)
	return answers
}

// TestTheGatewaySeesWhatAnInstanceKnows goes the whole way from a service over its internal listener to the page.
func TestTheGatewaySeesWhatAnInstanceKnows(t *testing.T) {
	t.Parallel()
	token := personal.NewSecret("s3cret")
	var bills, more freshness.Tally
	bills.Hit()
	more.Stale()
	w := status{
		breakers: func() []operations.Breaker {
			return []operations.Breaker{{Name: "bill.inquiry", State: operations.Closed}}
		},
		quota: func(context.Context) operations.Quota {
			return operations.Quota{Window: quota.Default(), Budget: 95, Ledger: true}
		},
		lookups: []Lookups{{freshness.Bills, &bills}, {freshness.Bills, &more}},
	}
	got := ask(t, gateway.Instances{
		Bill: []string{instance(t, service.Bill, token, w), instance(t, service.Bill, personal.NewSecret("another"), w)},
		Product: []string{
			instance(t, service.Product, token, status{}), instance(t, service.Bill, token, w), "http://127.0.0.1:1",
		},
	}, token)
	require.Len(t, got, 5)
	for n := range got {
		process := &got[n].Status.Process
		require.Equal(t, got[n].Trouble == "", process.ID != "" && process.Release != "" && !process.Started.IsZero())
		require.Equal(t, got[n].Trouble == "", process.Readiness == operations.Ready)
		*process = operations.Process{}
	}
	require.Equal(t, operations.Status{
		Service: service.Bill, Breakers: w.breakers(), Quota: new(w.quota(t.Context())),
		Caches: []operations.Cache{{Kind: freshness.Bills, Counts: freshness.Counts{Hits: 1, Stale: 1}}},
	}, got[0].Status)
	require.Equal(t, operations.Refused, got[1].Trouble)
	require.Equal(t, operations.Status{Service: service.Product}, got[2].Status)
	require.Equal(t, operations.BadAnswer, got[3].Trouble, "another service's instance")
	require.Equal(t, operations.NoConnection, got[4].Trouble)
}

// TestAHangingLedgerHidesNothingElse: the status is there before the gateway's time ends.
func TestAHangingLedgerHidesNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := status{
			breakers: func() []operations.Breaker { return []operations.Breaker{{Name: "mvnoap"}} },
			quota: func(ctx context.Context) operations.Quota {
				<-ctx.Done()
				return operations.Quota{Waiting: quota.Shares{quota.Read: 3}}
			},
		}
		began := time.Now()
		got := w.of(t.Context(), service.Bill)
		require.Equal(t, ledgerTimeout, time.Since(began))
		require.Less(t, ledgerTimeout, time.Second)
		require.Len(t, got.Breakers, 1)
		require.False(t, got.Quota.Ledger)
		require.Equal(t, 3, got.Quota.Queued())
	})
}

// scrape returns the metrics by name and labels.
func scrape(t *testing.T, w status) map[string]float64 {
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
	reported := operations.Quota{
		Window: quota.Default(), Budget: 71, Ledger: true, Spent: quota.Shares{1, 2, 3, 4},
		Leased: 6, Floor: operations.Floor{Calls: 2},
		Waiting: quota.Shares{quota.Read: 5},
		ETA:     [4]time.Duration{quota.Read: 1500 * time.Millisecond},
	}
	w := status{
		quota:   func(context.Context) operations.Quota { asked++; return reported },
		lookups: []Lookups{{freshness.Bills, &bills}, {freshness.Plans, &plans}, {freshness.Plans, &again}},
	}
	g := newGauges(w)
	require.Zero(t, asked, "not asked before it is scraped")
	require.NotNil(t, g)
	lookups := map[string]float64{
		"phonebill_lookups_total bill hit": 3, "phonebill_lookups_total bill stale": 1,
		"phonebill_lookups_total bill miss":      1,
		"phonebill_lookups_total bill coalesced": 1, "phonebill_lookups_total plans hit": 0,
		"phonebill_lookups_total plans stale": 0,
		"phonebill_lookups_total plans miss":  2, "phonebill_lookups_total plans coalesced": 0,
	}
	queues := map[string]float64{
		"phonebill_kos_waiting change": 0, "phonebill_kos_waiting read": 5, "phonebill_kos_waiting refresh": 0,
		"phonebill_kos_waiting prefetch": 0, "phonebill_kos_eta_seconds change": 0, "phonebill_kos_eta_seconds read": 1.5,
		"phonebill_kos_eta_seconds refresh": 0, "phonebill_kos_eta_seconds prefetch": 0,
	}
	ledger := map[string]float64{
		"phonebill_kos_ledger_available": 1, "phonebill_kos_budget": 71, "phonebill_kos_used change": 1,
		"phonebill_kos_used read":    2,
		"phonebill_kos_used refresh": 3, "phonebill_kos_used prefetch": 4,
		"phonebill_kos_floor_lease": 1, "phonebill_kos_floors_leased": 6,
	}
	require.Equal(t, joined(lookups, queues, ledger), scrape(t, w))
	reported.Window, reported.Budget = quota.Unlimited(), math.MaxInt
	require.InDelta(t, math.Inf(1), scrape(t, w)["phonebill_kos_budget"], 0)
	require.NotContains(t, scrape(t, w), "phonebill_kos_floor_lease")
	reported.Window, reported.Ledger, reported.Floor = quota.Default(), false, operations.Floor{}
	require.Equal(t, joined(lookups, queues, map[string]float64{
		"phonebill_kos_ledger_available": 0, "phonebill_kos_floor_lease": 0,
	}), scrape(t, w),
		"what is not known is absent, not 0")
	require.Empty(t, scrape(t, status{}))
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
	b := service.Begin(service.Bill, service.Listen{}, silent())
	report(b, status{})
	b.Internal.Token = personal.NewSecret("s3cret")
	h := b.Internal.Handler()
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
