package mvnoap_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/mvnoap"
	"phonebill/core/delivery"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/ports"
)

// receiver is an AP server without a network, for virtual time.
type receiver struct {
	status int
	takes  time.Duration
	asked  atomic.Int64

	retryAfter string
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	r.asked.Add(1)
	if r.takes > 0 {
		time.Sleep(r.takes)
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	header := http.Header{}
	if r.retryAfter != "" {
		header.Set("Retry-After", r.retryAfter)
	}
	return &http.Response{StatusCode: r.status, Header: header, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// testClient is a client of a receiver with both its publishers.
type testClient struct {
	*mvnoap.Client
	bills   ports.Publisher[ports.BillResult]
	changes ports.Publisher[ports.ChangeResult]
	alerts  *memory.Alerts
	metrics *prometheus.Registry
	log     *bytes.Buffer
}

func newTestClient(t *testing.T, r *receiver) *testClient {
	t.Helper()
	out := &testClient{alerts: &memory.Alerts{}, metrics: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	var err error
	out.Client, err = mvnoap.New(mvnoap.Config{URL: "http://ap.test", Secrets: fixed(t, secret("one"))}, mvnoap.Deps{
		Now: now, Log: slog.New(slog.NewTextHandler(out.log, nil)), Alerts: out.alerts, Metrics: out.metrics,
	})
	require.NoError(t, err)
	mvnoap.OverWire(out.Client, r)
	out.bills, out.changes = out.BillResults(), out.ChangeResults()
	return out
}

func (c *testClient) change(ctx context.Context, t *testing.T) delivery.Outcome {
	t.Helper()
	return c.changes.Publish(ctx, changeItem(t, 1, product.Order{State: product.Completed})).Outcome
}

func (c *testClient) bill(ctx context.Context, t *testing.T) delivery.Outcome {
	t.Helper()
	return c.bills.Publish(ctx, billItem(t, 1, ports.BillResult{Inquiry: inquiry(t), Bill: whole(t)})).Outcome
}

// state returns the exported gauge.
func (c *testClient) state(t *testing.T) float64 {
	t.Helper()
	families, err := c.metrics.Gather()
	require.NoError(t, err)
	require.Equal(t, "mvnoap_breaker_state", families[0].GetName())
	return families[0].GetMetric()[0].GetGauge().GetValue()
}

// TestTheBreakerOpensForADeadReceiver: five failures in a row of either kind of result open the breaker for both;
// nothing is sent for 30 s, then three are tried, and three successes close it.
func TestTheBreakerOpensForADeadReceiver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ap := &receiver{status: http.StatusServiceUnavailable}
		c, start := newTestClient(t, ap), time.Now().UTC()
		require.Equal(t, operations.Breaker{Name: "mvnoap", State: operations.Closed, Since: start}, c.Breaker())
		time.Sleep(time.Second)
		for range 3 {
			require.Equal(t, delivery.Failed, c.bill(t.Context(), t))
		}
		require.Equal(t, 32, c.changes.Ready(32))
		require.Equal(t, 3, c.Breaker().Failures)
		for range 2 {
			require.Equal(t, delivery.Failed, c.change(t.Context(), t))
		}
		opened := start.Add(time.Second)
		require.Equal(t, operations.Breaker{
			Name: "mvnoap", State: operations.Open, Failures: 5, Since: opened, RetryAt: opened.Add(30 * time.Second),
		}, c.Breaker())
		require.InDelta(t, 2, c.state(t), 0)
		require.Zero(t, c.bills.Ready(32))
		require.Zero(t, c.changes.Ready(32))
		require.Equal(t, delivery.NotAttempted, c.bill(t.Context(), t), "also an earlier claim")
		require.EqualValues(t, 5, ap.asked.Load())

		time.Sleep(30*time.Second + time.Millisecond)
		require.Equal(t, 3, c.bills.Ready(32))
		require.Equal(t, 2, c.bills.Ready(2))
		require.Equal(t, delivery.Failed, c.bill(t.Context(), t))
		require.Zero(t, c.bills.Ready(32), "a failed trial opens it again")

		ap.status, ap.takes = http.StatusNoContent, time.Second
		time.Sleep(30*time.Second + time.Millisecond)
		outcomes := make(chan delivery.Outcome, 50)
		for range 50 {
			go func() { outcomes <- c.bill(context.Background(), t) }()
		}
		synctest.Wait()
		require.EqualValues(t, 9, ap.asked.Load(), "of fifty three are sent")
		require.Zero(t, c.changes.Ready(32))
		require.Equal(t, operations.HalfOpen, c.Breaker().State)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, operations.Breaker{Name: "mvnoap", State: operations.Closed, Since: time.Now().UTC()}, c.Breaker())
		require.Equal(t, 32, c.changes.Ready(32))
		counted := map[delivery.Outcome]int{}
		for range 50 {
			counted[<-outcomes]++
		}
		require.Equal(t, map[delivery.Outcome]int{delivery.Accepted: 3, delivery.NotAttempted: 47}, counted)
		require.Zero(t, c.state(t))
		kinds := []operations.AlertKind{}
		for _, a := range c.alerts.Raised() {
			require.Equal(t, "mvnoap", a.Subject)
			kinds = append(kinds, a.Kind)
		}
		require.Equal(t, []operations.AlertKind{operations.BreakerOpened, operations.BreakerClosed}, kinds,
			"that a trial failed is no news")
		require.Contains(t, c.log.String(), "mvnoap breaker")
	})
}

// TestVerdictsCountForTheBreaker: what the receiver rejects says that it is well; what it puts off, that it is not;
// what we break off, nothing.
func TestVerdictsCountForTheBreaker(t *testing.T) {
	t.Parallel()
	for status, opens := range map[int]bool{
		204: false, 400: false, 401: false, 404: false, 410: false, 422: false, 302: true, 408: true, 425: true, 429: true,
		500: true, 503: true,
	} {
		ap := &receiver{status: status}
		c := newTestClient(t, ap)
		for range 10 {
			c.change(t.Context(), t)
		}
		require.Equal(t, opens, c.Breaker().State == operations.Open, status)
	}
	c := newTestClient(t, &receiver{status: 204})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		require.Equal(t, delivery.Failed, c.change(ctx, t))
	}
	require.Equal(t, operations.Closed, c.Breaker().State)
	require.Zero(t, c.Breaker().Failures)
}

func TestARegistererThatRefusesCostsTheMetricOnly(t *testing.T) {
	t.Parallel()
	other, log := prometheus.NewRegistry(), &bytes.Buffer{}
	other.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "mvnoap_breaker_state", Help: "another collector"}))
	_, err := mvnoap.New(mvnoap.Config{URL: "http://ap.test", Secrets: fixed(t, secret("one"))}, mvnoap.Deps{
		Now: now, Log: slog.New(slog.NewTextHandler(log, nil)), Alerts: &memory.Alerts{}, Metrics: other,
	})
	require.NoError(t, err)
	require.Contains(t, log.String(), "not exported")
}

// TestThePolicyIsTheOperators.
func TestThePolicyIsTheOperators(t *testing.T) {
	t.Parallel()
	policy, err := mvnoap.ParseBreaker("2/10s/1")
	require.NoError(t, err)
	_, err = mvnoap.ParseBreaker("often")
	require.ErrorContains(t, err, `"often" is not like 5/30s/3`)
	synctest.Test(t, func(t *testing.T) {
		ap := &receiver{status: http.StatusServiceUnavailable}
		alerts := &memory.Alerts{}
		c, err := mvnoap.New(mvnoap.Config{URL: "http://ap.test", Secrets: fixed(t, secret("one")), Breaker: policy},
			mvnoap.Deps{Now: now, Log: slog.New(slog.DiscardHandler), Alerts: alerts})
		require.NoError(t, err)
		mvnoap.OverWire(c, ap)
		client := &testClient{Client: c, changes: c.ChangeResults(), bills: c.BillResults(), alerts: alerts}
		for range 2 {
			require.Equal(t, delivery.Failed, client.change(t.Context(), t))
		}
		require.Equal(t, operations.Open, c.Breaker().State)
		time.Sleep(10*time.Second + time.Millisecond)
		require.Equal(t, 1, client.changes.Ready(32))
		ap.status = http.StatusOK
		require.Equal(t, delivery.Accepted, client.change(t.Context(), t))
		require.Equal(t, operations.Closed, c.Breaker().State)
	})
}
