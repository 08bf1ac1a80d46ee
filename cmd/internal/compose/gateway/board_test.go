package gateway_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/auth"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/upstream"
)

const boardToken = "0123456789abcdef0123456789abcdef"

// ready is a service's instance that takes requests.
func ready(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(srv.Close)
	return srv
}

// gate starts a gateway before the instances of the bill service; others are the internal origins of further gateways.
func gate(t *testing.T, bills []string, others ...string) *boot.Running {
	t.Helper()
	one := ready(t).URL
	vars := map[string]string{
		"INTERNAL_TOKEN": boardToken, "GATEWAY_AUDIT_TOKEN": boardToken + "x", "GATEWAY_ADDR": "127.0.0.1:0",
		"GATEWAY_INTERNAL_ADDR": "127.0.0.1:0", "DRAIN_DELAY": "0", "AUTH_URL": one, "AUTH_INTERNAL_URL": one,
		"PRODUCT_URL": one, "BILL_URL": strings.Join(bills, ","), "GATEWAY_INTERNAL_URLS": strings.Join(others, ","),
	}
	c, err := gateway.Load(func(key string) string { return vars[key] })
	require.NoError(t, err)
	unit, err := gateway.NewWithProxies(t.Context(), c, service.RealTools(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	run, err := unit.Start(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = run.Stop() })
	return run
}

// board is what the instances say, as the command line asks them.
func board(t *testing.T, gateways ...string) []operations.Answer {
	t.Helper()
	return asked(t, gateway.Instances{Gateway: gateways}, service.Gateway)
}

// asked is what the instances of the services say.
func asked(t *testing.T, instances gateway.Instances, services ...string) []operations.Answer {
	t.Helper()
	staff, err := gateway.NewStaff(internalclient.Access{Token: personal.NewSecret(boardToken)},
		instances, nil, nil, service.RealTools(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	overview := staff.Overview()
	overview.Report = func(context.Context, error) {}
	all, err := overview.Ask(t.Context(), auth.Principal{Roles: []auth.Role{auth.Operator}}, services...)
	require.NoError(t, err)
	return all
}

// TestAGatewayReportsItsUpstreams: one of two instances is killed, and the gateway says so, with no restart.
func TestAGatewayReportsItsUpstreams(t *testing.T) {
	t.Parallel()
	stays, killed := ready(t), ready(t)
	run := gate(t, []string{stays.URL, killed.URL})
	bills := func() (found operations.Upstream) {
		all := board(t, run.InternalURL)
		require.Len(t, all, 1)
		require.Empty(t, all[0].Trouble)
		s := all[0].Status
		require.Equal(t, service.Gateway, s.Service)
		require.Len(t, s.Breakers, 3)
		for n, u := range s.Upstreams {
			require.Equal(t, []string{service.Auth, service.Bill, service.Product}[n], u.Service)
			require.Equal(t, u.Breaker, s.Breakers[n])
			require.Equal(t, u.Service, u.Breaker.Name)
			require.Equal(t, operations.Closed, u.Breaker.State)
		}
		return s.Upstreams[1]
	}
	states := func(u operations.Upstream) (all []upstream.State) {
		for _, i := range u.Instances {
			require.False(t, i.Since.IsZero())
			all = append(all, i.State)
		}
		return all
	}
	require.Equal(t, []upstream.State{upstream.Up, upstream.Up}, states(bills()))
	require.Equal(t, strings.TrimPrefix(stays.URL, "http://"), bills().Instances[0].Name)
	killed.CloseClientConnections()
	killed.Close()
	require.Eventually(t, func() bool {
		return slices.Equal([]upstream.State{upstream.Up, upstream.Away}, states(bills()))
	}, 30*time.Second, 20*time.Millisecond)
}

// TestTheInternalAPIOfAGatewayWantsTheToken, and has nothing but the status.
func TestTheInternalAPIOfAGatewayWantsTheToken(t *testing.T) {
	t.Parallel()
	run := gate(t, []string{ready(t).URL})
	ask := func(path, header string) (int, map[string]any) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, run.InternalURL+path, http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Authorization", header)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		var body map[string]any
		_ = json.NewDecoder(res.Body).Decode(&body)
		require.NoError(t, res.Body.Close())
		return res.StatusCode, body
	}
	for header, want := range map[string]int{
		"": http.StatusUnauthorized, "Bearer " + boardToken + "x": http.StatusUnauthorized,
		"Bearer " + boardToken: http.StatusOK,
	} {
		status, _ := ask("/internal/v1/operations/status", header)
		require.Equal(t, want, status, header)
	}
	for _, path := range []string{"deliveries", "revocations", "service-keys", "timelines/1", "requests", "audit"} {
		status, _ := ask("/internal/v1/"+path, "Bearer "+boardToken)
		require.Equal(t, http.StatusNotFound, status, path)
	}
	public := run.URL + "/internal/v1/operations/status"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, public, http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNotFound, res.StatusCode, "the public listener does not serve it")
}

// TestGatewaysAreFoundAndOneIsKilled: two of them are there, and then one is unreachable, with the reason.
func TestGatewaysAreFoundAndOneIsKilled(t *testing.T) {
	t.Parallel()
	bill := ready(t).URL
	first := gate(t, []string{bill})
	second := gate(t, []string{bill}, first.InternalURL)
	all := board(t, first.InternalURL, second.InternalURL)
	require.Len(t, operations.Reached(all), 2)
	require.NotEqual(t, all[0].Status.Process.ID, all[1].Status.Process.ID)
	sums := operations.SumUpstreams(all)
	require.Len(t, sums, 3)
	require.Equal(t, operations.UpstreamSum{
		Service: service.Bill, Gateways: 2, Best: operations.StateCounts{Up: 1}, Worst: operations.StateCounts{Up: 1},
	}, sums[1])
	require.NoError(t, second.Stop())
	all = board(t, first.InternalURL, second.InternalURL)
	require.Len(t, operations.Reached(all), 1)
	require.Equal(t, operations.NoConnection, operations.Unreached(all)[0].Trouble)
	require.Equal(t, []operations.Fleet{{
		Service: service.Gateway, NotReady: 1, Unreachable: 1, Releases: []string{all[0].Status.Process.Release},
	}}, operations.Fleets(all), "and the one that is there has no keys to verify tokens with")
}

// billed is an instance of the bill service by its two listeners.
type billed struct{ public, internal *httptest.Server }

func newBilled(t *testing.T) billed {
	t.Helper()
	b := service.Begin(service.Bill, service.Listen{}, service.RealTools(slog.New(slog.DiscardHandler)))
	b.Internal.Token = personal.NewSecret(boardToken)
	i := billed{public: ready(t), internal: httptest.NewServer(b.Internal.Handler())}
	t.Cleanup(i.internal.Close)
	return i
}

// kill breaks the connections and gives both ports back, as the end of a process does.
func (i billed) kill() {
	for _, srv := range []*httptest.Server{i.public, i.internal} {
		srv.CloseClientConnections()
		srv.Close()
	}
}

// TestOneOfTwoInstancesOfAServiceIsKilled: it is unreachable, with the reason, the other one is shown as before, and
// the gateway says that the one is down.
func TestOneOfTwoInstancesOfAServiceIsKilled(t *testing.T) {
	t.Parallel()
	stays, killed := newBilled(t), newBilled(t)
	run := gate(t, []string{stays.public.URL, killed.public.URL})
	look := func() []operations.Answer {
		return asked(t, gateway.Instances{
			Bill: []string{stays.internal.URL, killed.internal.URL}, Gateway: []string{run.InternalURL},
		}, service.Bill, service.Gateway)
	}
	bills := func(all []operations.Answer) operations.Fleet {
		fleets := operations.Fleets(all)
		at := slices.IndexFunc(fleets, func(f operations.Fleet) bool { return f.Service == service.Bill })
		require.GreaterOrEqual(t, at, 0)
		return fleets[at]
	}
	before := look()
	require.Empty(t, operations.Unreached(before))
	require.Len(t, operations.Reached(before), 3)
	fleet := bills(before)
	require.Equal(t, 2, fleet.Ready)

	killed.kill()
	after := look()
	lost := operations.Unreached(after)
	require.Len(t, lost, 1)
	require.Equal(t, operations.Instance{
		Service: service.Bill, Name: strings.TrimPrefix(killed.internal.URL, "http://"),
	}, lost[0].Instance)
	require.Equal(t, operations.NoConnection, lost[0].Trouble)
	require.True(t, lost[0].GoneSince.IsZero(), "the list still leads to it")
	require.Equal(t, operations.Fleet{
		Service: service.Bill, Ready: 1, Unreachable: 1, Releases: fleet.Releases,
	}, bills(after))
	require.Eventually(t, func() bool {
		sums := operations.SumUpstreams(look())
		return sums[1].Service == service.Bill && sums[1].Worst == operations.StateCounts{Up: 1, Down: 1}
	}, 30*time.Second, 20*time.Millisecond)
}
