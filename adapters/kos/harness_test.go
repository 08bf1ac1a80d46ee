package kos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/adapters/kos/kossim"
	"phonebill/adapters/memory"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/quota"
)

const token = "test-credential"

// noon is 2026-11-21 12:00 in Seoul.
var noon = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func now() time.Time { return noon }

// ids makes ids that count.
func ids() func() id.ID {
	var n atomic.Uint32
	return func() id.ID {
		k := n.Add(1)
		return id.ID{0: 1, 6: 0x70, 8: 0x80, 14: byte(k >> 8), 15: byte(k)}
	}
}

func number(t *testing.T, s string) line.Number {
	t.Helper()
	n, err := line.Parse(s)
	require.NoError(t, err)
	return n
}

func month(t *testing.T, s string) calendar.Month {
	t.Helper()
	m, err := calendar.ParseMonth(s)
	require.NoError(t, err)
	return m
}

// logged collects log lines; safe for concurrent use.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// link is a client with everything around it that a test looks at.
type link struct {
	*kos.Client
	log      *logged
	calls    *memory.CallLog
	quota    *memory.Quota
	alerts   *memory.Alerts
	metrics  *prometheus.Registry
	url      string
	requests atomic.Int64 // that reached the server, for serve
}

func connect(t *testing.T, url string, change ...func(*kos.Config, *kos.Deps)) *link {
	t.Helper()
	l := &link{
		url:     url,
		log:     &logged{},
		calls:   &memory.CallLog{},
		metrics: prometheus.NewRegistry(),
		alerts:  &memory.Alerts{},
	}
	l.quota = &memory.Quota{Window: quota.Window{Budget: 1000, Per: time.Minute}, Now: now}
	logger := slog.New(slog.NewTextHandler(l.log, nil))
	cfg := kos.Config{URL: url, Keys: keys(t, token)}
	deps := kos.Deps{
		Quota: l.quota, Log: l.calls, Breakers: kos.NewBreakers(nil, logger, l.alerts, l.metrics), Alerts: l.alerts, Now: now,
		NewID: ids(), Logger: logger, Metrics: l.metrics,
	}
	for _, f := range change {
		f(&cfg, &deps)
	}
	var err error
	l.Client, err = kos.New(cfg, deps)
	require.NoError(t, err)
	return l
}

// keys are fixed ones.
func keys(t *testing.T, all ...string) *kos.Credentials {
	t.Helper()
	c, err := kos.FixedCredentials(all...)
	require.NoError(t, err)
	return c
}

// raised lists the alerts as "kind subject", oldest first.
func (l *link) raised() []string {
	out := []string{}
	for _, a := range l.alerts.Raised() {
		out = append(out, string(a.Kind)+" "+a.Subject)
	}
	return out
}

// simulate connects to a simulator without delays.
func simulate(t *testing.T, change ...func(*kos.Config, *kos.Deps)) (*link, *kossim.Simulator) {
	t.Helper()
	sim, err := kossim.New(kossim.Options{
		Tokens: []string{token}, Clock: now, Delays: &kossim.Delays{}, QuotaPerMinute: kossim.NoQuota,
	})
	require.NoError(t, err)
	srv := httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		require.NoError(t, sim.Close())
		srv.Close()
	})
	return connect(t, srv.URL, change...), sim
}

// serve connects to a handler of the test's own and counts its requests.
func serve(t *testing.T, h http.HandlerFunc) *link {
	t.Helper()
	var l *link
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.requests.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	l = connect(t, srv.URL)
	return l
}

// says returns a handler with a fixed status and body.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// slowly takes its time before it answers; for pipes in virtual time.
func slowly(d time.Duration, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d)
		h(w, r)
	}
}

// envelope wears data in KOS's envelope.
func envelope(t *testing.T, code string, data any) string {
	t.Helper()
	out := map[string]any{
		"resultCode":    code,
		"resultMessage": "text",
		"timestamp":     "2026-11-21T12:00:00.123+09:00",
		"traceId":       "1",
	}
	if data != nil {
		out["data"] = data
	}
	raw, err := json.Marshal(out)
	require.NoError(t, err)
	return string(raw)
}

func (l *link) results() []string {
	out := []string{}
	for _, c := range l.calls.Calls() {
		out = append(out, c.Operation+" "+c.Result)
	}
	return out
}

// metric returns the value of a counter or gauge with the label values in the order of the label names.
func (l *link) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := l.metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			have := []string{}
			for _, p := range m.GetLabel() {
				have = append(have, p.GetValue())
			}
			if len(have) == len(labels) && (len(labels) == 0 || equal(have, labels)) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func equal(a, b []string) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// deadPort returns a loopback address on which nothing listens.
func deadPort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return "http://" + l.Addr().String()
}

// order is a change of the line to 5G-STANDARD at the first of next month.
func order(t *testing.T, lineNumber, from, to string) product.Order {
	t.Helper()
	return product.Order{
		ID: id.ID{0: 7, 15: 1}, TransactionID: id.ID{0: 9, 15: 1}, Line: number(t, lineNumber), From: from, To: to,
		EffectiveDate: month(t, "2026-12").First(),
	}
}

// soon is a context that ends before any test gets bored.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// pipe connects to a handler without a network, for tests in virtual time.
func pipe(t *testing.T, h http.HandlerFunc) *link {
	t.Helper()
	l := connect(t, "http://kos.test")
	kos.OverWire(l.Client, handled(h))
	return l
}

type handled http.HandlerFunc

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h(rec, r)
	return rec.Result(), r.Context().Err()
}
