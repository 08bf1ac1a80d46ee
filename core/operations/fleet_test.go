package operations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/operations"
	"phonebill/core/upstream"
)

func TestFleets(t *testing.T) {
	t.Parallel()
	process := func(release string, r operations.Readiness) operations.Answer {
		return from("x", operations.Status{Process: operations.Process{Release: release, Readiness: r}})
	}
	other := operations.Answer{Instance: operations.Instance{Service: "auth"}, Trouble: operations.TooSlow}
	for name, c := range map[string]struct {
		all  []operations.Answer
		want []operations.Fleet
	}{
		"none": {nil, nil},
		"of two services": {
			[]operations.Answer{process("2", operations.Ready), other},
			[]operations.Fleet{
				{Service: "bill-inquiry", Ready: 1, Releases: []string{"2"}}, {Service: "auth", Unreachable: 1},
			},
		},
		"each in its state, each release once": {
			[]operations.Answer{
				process("2", operations.Ready), process("1", operations.Draining), process("2", operations.NotReady),
				process("", ""), silent("y", operations.Gone),
			},
			[]operations.Fleet{{
				Service: "bill-inquiry", Ready: 1, Draining: 1, NotReady: 1, Unknown: 1, Unreachable: 1,
				Releases: []string{"2", "1"},
			}},
		},
	} {
		require.Equal(t, c.want, operations.Fleets(c.all), name)
		found := 0
		for _, f := range operations.Fleets(c.all) {
			found += f.Found()
		}
		require.Equal(t, len(c.all), found, name)
	}
}

func TestSumUpstreams(t *testing.T) {
	t.Parallel()
	gate := func(breaker operations.BreakerState, states ...upstream.State) operations.Answer {
		u := operations.Upstream{
			Service: "auth", Breaker: operations.Breaker{State: breaker}, InFlight: 2, Waiting: 1,
		}
		for _, s := range states {
			u.Instances = append(u.Instances, operations.UpstreamInstance{State: s})
		}
		return operations.Answer{Status: operations.Status{Upstreams: []operations.Upstream{u}}}
	}
	type counts = operations.StateCounts
	for name, c := range map[string]struct {
		all         []operations.Answer
		open        int
		best, worst counts
	}{
		"one": {
			[]operations.Answer{gate(operations.Closed, upstream.Up, upstream.EjectedUp)}, 0,
			counts{Up: 1, Ejected: 1}, counts{Up: 1, Ejected: 1},
		},
		"more up is better": {
			[]operations.Answer{
				gate(operations.Closed, upstream.Up), gate(operations.Open, upstream.Away, upstream.Away),
				gate(operations.Closed, upstream.Up, upstream.Up),
			}, 1, counts{Up: 2}, counts{Down: 2},
		},
		"else fewer down": {
			[]operations.Answer{
				gate(operations.Open, upstream.Up, upstream.Away), gate(operations.Open, upstream.Up, upstream.Refusing),
			}, 2, counts{Up: 1, NotReady: 1}, counts{Up: 1, Down: 1},
		},
		"else fewer left out": {
			[]operations.Answer{
				gate(operations.Closed, upstream.Up, upstream.EjectedUp), gate(operations.Closed, upstream.Up),
			}, 0, counts{Up: 1}, counts{Up: 1, Ejected: 1},
		},
	} {
		n := len(c.all)
		dead := gate(operations.Open, upstream.Up, upstream.Up, upstream.Up)
		dead.Trouble = operations.TooSlow
		require.Equal(t, []operations.UpstreamSum{{
			Service: "auth", Gateways: n, BreakersOpen: c.open, InFlight: 2 * n, Waiting: n, Best: c.best, Worst: c.worst,
		}}, operations.SumUpstreams(append(c.all, dead)), name)
	}
	require.Empty(t, operations.SumUpstreams(nil))
}

func TestWithSelf(t *testing.T) {
	t.Parallel()
	process := func(service, name, id string) operations.Answer {
		return operations.Answer{
			Instance: operations.Instance{Service: service, Name: name},
			Status:   operations.Status{Process: operations.Process{ID: id}},
		}
	}
	self := process("gateway", "own", "1")
	renamed := process("gateway", "g:1", "1")
	other, bill := process("gateway", "g:2", "2"), process("bill-inquiry", "b:1", "3")
	dead := operations.Answer{Instance: operations.Instance{Service: "gateway", Name: "g:9"}, Trouble: operations.TooSlow}
	for name, c := range map[string]struct{ all, want []operations.Answer }{
		"alone":                     {nil, []operations.Answer{self}},
		"behind other services":     {[]operations.Answer{bill}, []operations.Answer{bill, self}},
		"before others of its kind": {[]operations.Answer{other, bill}, []operations.Answer{self, other, bill}},
		"found":                     {[]operations.Answer{other, renamed, bill}, []operations.Answer{other, renamed, bill}},
		"found by two addresses": {
			[]operations.Answer{renamed, other, process("gateway", "g:3", "1")}, []operations.Answer{renamed, other},
		},
		"one that cannot be reached": {[]operations.Answer{dead}, []operations.Answer{self, dead}},
		"another service's id": {
			[]operations.Answer{process("auth", "a:1", "1")}, []operations.Answer{process("auth", "a:1", "1"), self},
		},
	} {
		before := append([]operations.Answer(nil), c.all...)
		require.Equal(t, c.want, operations.WithSelf(c.all, self), name)
		require.Equal(t, before, append([]operations.Answer(nil), c.all...), "the list of the caller stays: %s", name)
	}
}
