package kos_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/adapters/kos/kossim"
	"phonebill/core/operations"
	"phonebill/core/timeline"
)

// TestEveryOperationIsProbedAndKnownEverywhere walks all declared operations. The breaker of each opens when KOS fails
// and closes by probes alone; meanwhile every probe has used the declared route, has reached the simulator's operation
// of that name, and stands in call log, metrics and breaker states under it.
func TestEveryOperationIsProbedAndKnownEverywhere(t *testing.T) {
	t.Parallel()
	for _, op := range kos.Declared() {
		t.Run(string(op.Name), func(t *testing.T) {
			t.Parallel()
			sim, err := kossim.New(kossim.Options{
				Tokens: []string{token}, Clock: now, Delays: &kossim.Delays{}, QuotaPerMinute: kossim.NoQuota,
			})
			require.NoError(t, err)
			var route atomic.Value
			mux := http.NewServeMux()
			mux.HandleFunc(op.Route, func(w http.ResponseWriter, r *http.Request) {
				route.Store(op.Route)
				sim.Handler().ServeHTTP(w, r)
			})
			srv := httptest.NewServer(mux)
			t.Cleanup(func() {
				require.NoError(t, sim.Close())
				srv.Close()
			})
			policy := kos.BreakerPolicy{Failures: 1, Open: 20 * time.Millisecond, Successes: 1}
			l := connect(t, srv.URL, func(_ *kos.Config, d *kos.Deps) {
				d.Breakers = kos.NewBreakers(kos.BreakerPolicies{op.Name: policy}, d.Logger, d.Alerts, d.Metrics)
			})
			require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.AnyOperation, Mode: kossim.Error, Times: 2}))
			for _, n := range twoLines {
				kos.AskAsProbe(t.Context(), l.Client, op.Name, number(t, n))
			}
			require.Equal(t, operations.Open, stateOf(t, l, op.Name), "a failure of KOS opens the breaker")
			require.Eventually(t, func() bool {
				_, err := l.Probe(t.Context())
				require.NoError(t, err)
				return stateOf(t, l, op.Name) == operations.Closed
			}, 10*time.Second, 10*time.Millisecond, "probes close it")

			require.Equal(t, op.Route, route.Load())
			received := sim.Calls()
			require.Equal(t, string(op.Name), string(received[len(received)-1].Operation), "the simulator's operation")
			logged := l.calls.Calls()
			require.Equal(t, string(op.Name), logged[len(logged)-1].Operation)
			result := logged[len(logged)-1].Result
			require.Positive(t, l.metric(t, "kos_calls_total", string(op.Name), result))
			story := timeline.Inquiry{Calls: logged}.Timeline()
			for _, e := range story.Events {
				require.NotContains(t, e.Text, string(op.Name), "staff read a text (core/timeline/call.go)")
			}
		})
	}
}

func stateOf(t *testing.T, l *link, name kos.Operation) operations.BreakerState {
	t.Helper()
	for _, b := range l.Breakers() {
		if b.Name == string(name) {
			return b.State
		}
	}
	require.Fail(t, "no breaker", name)
	return ""
}

// TestEveryOperationIsSpecified: the route is a path of openapi/kos.yaml, and faults can be set by the operation's name
// (openapi/kos-control.yaml).
func TestEveryOperationIsSpecified(t *testing.T) {
	t.Parallel()
	spec, err := openapi3.NewLoader().LoadFromFile("../../openapi/kos.yaml")
	require.NoError(t, err)
	control, err := os.ReadFile("../../openapi/kos-control.yaml")
	require.NoError(t, err)
	for _, op := range kos.Declared() {
		method, path, _ := strings.Cut(op.Route, " ")
		specified := spec.Paths.Find(path)
		require.NotNil(t, specified, op.Route)
		require.NotNil(t, specified.GetOperation(method), op.Route)
		require.Contains(t, string(control), string(op.Name))
	}
}
